// Value conversions and bit casts.
@group(0) @binding(0) var<storage, read> f: array<f32>;
@group(0) @binding(1) var<storage, read> i: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let x = f[id.x];
    let n = i[id.x];
    let o = id.x * 14u;
    out[o + 0u] = bitcast<u32>(i32(x));
    out[o + 1u] = u32(x);
    out[o + 2u] = u32(bool(x));
    out[o + 3u] = bitcast<u32>(f32(n));
    out[o + 4u] = bitcast<u32>(f32(bitcast<u32>(n)));
    out[o + 5u] = u32(n);
    out[o + 6u] = u32(bool(n));
    out[o + 7u] = bitcast<u32>(f32(n < 0));
    out[o + 8u] = bitcast<u32>(i32(n < 0));
    out[o + 9u] = bitcast<u32>(x);
    out[o + 10u] = u32(bitcast<f32>(n) == bitcast<f32>(n));
    out[o + 11u] = bitcast<vec2<u32>>(vec2(x, 1.0)).y;
    out[o + 12u] = u32(vec3<u32>(vec3(x)).z);
    out[o + 13u] = bitcast<u32>(i32(bitcast<u32>(n)));
}
