// 64-bit floats, which naga adds to WGSL, and their conversions.
struct Pair { n: u32, d: f64, v: vec2<f64> }
@group(0) @binding(0) var<storage, read> a: array<f64>;
@group(0) @binding(1) var<storage, read_write> out: array<f64>;
@group(0) @binding(2) var<storage, read_write> pair: Pair;
var<workgroup> kept: array<f64, 4>;

@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    let x = a[i];
    let y = a[(i + 1u) % 4u];
    let o = i * 8u;
    kept[i] = x * 0.5lf;
    workgroupBarrier();
    out[o + 0u] = x + y * 0.25lf;
    out[o + 1u] = kept[3u - i] - x;
    out[o + 2u] = sqrt(abs(x)) + floor(y);
    out[o + 3u] = select(min(x, y), max(x, y), x < y);
    out[o + 4u] = f64(i64(x * 8.0lf)) + f64(u32(abs(y)));
    out[o + 5u] = f64(f32(x)) + f64(i);
    out[o + 6u] = bitcast<f64>(bitcast<i64>(x));
    out[o + 7u] = dot(vec2(x, y), vec2(y, 2.0lf));
    if i == 0u {
        pair.d = sqrt(pair.d) + floor(pair.d);
        pair.v = pair.v.yx * f64(pair.n);
    }
}
