// Packed formats, there and back.
@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;
@group(0) @binding(3) var<storage, read_write> back: array<vec4<f32>>;

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let v = a[id.x];
    let word = w[id.x];
    let o = id.x * 12u;
    out[o + 0u] = pack4x8snorm(v);
    out[o + 1u] = pack4x8unorm(v);
    out[o + 2u] = pack2x16snorm(v.xy);
    out[o + 3u] = pack2x16unorm(v.xy);
    out[o + 4u] = pack2x16float(v.xy);
    out[o + 5u] = pack4xI8(vec4<i32>(v * 300.0));
    out[o + 6u] = pack4xU8(vec4<u32>(vec4<i32>(v * 300.0)));
    out[o + 7u] = pack4xI8Clamp(vec4<i32>(v * 300.0));
    out[o + 8u] = pack4xU8Clamp(vec4<u32>(abs(v) * 300.0));
    let bytes = unpack4xI8(word);
    out[o + 9u] = bitcast<u32>(bytes.x + bytes.y * 3 + bytes.z * 5 + bytes.w * 7);
    let words = unpack4xU8(word);
    out[o + 10u] = words.x + words.y * 3u + words.z * 5u + words.w * 7u;
    let b = id.x * 5u;
    back[b + 0u] = unpack4x8snorm(word);
    back[b + 1u] = unpack4x8unorm(word);
    back[b + 2u] = vec4(unpack2x16snorm(word), unpack2x16unorm(word));
    back[b + 3u] = vec4(unpack2x16float(pack2x16float(v.xy)), 0.0, 0.0);
    back[b + 4u] = unpack4x8snorm(pack4x8snorm(v));
}
