// Out of bounds: loads give zero, stores do nothing.
struct S { a: array<u32, 4>, v: vec4<f32>, m: mat2x2<f32>, r: array<u32> }
@group(0) @binding(2) var<storage, read_write> s: S;
var<workgroup> w: array<u32, 4>;
var<private> p: array<u32, 4>;

@compute @workgroup_size(1)
fn main() {
    let big = src[60] * 1000000u;
    let neg = -1 - i32(src[0]);
    let four = src[4];
    s.a[four] = 7u;
    s.a[neg] = 8u;
    s.v[four] = 3.0;
    s.r[big] = 9u;
    s.r[neg] = 10u;
    w[four] = 5u;
    w[neg] = 6u;
    p[four] = 7u;
    p[big] = 8u;
    var l = array(1u, 2u, 3u);
    l[four] = 9u;
    l[neg] = 10u;
    var v = vec3(1u, 2u, 3u);
    v[four] = 9u;
    eq(0, out[src[63] * 1000000u], 0u);
    eq(1, s.a[neg], 0u);
    eq(2, s.a[four], 0u);
    eq(3, s.r[big], 0u);
    eq(4, w[four], 0u);
    eq(5, p[neg], 0u);
    eq(6, l[four], 0u);
    eq(7, v[four], 0u);
    eq(8, bitcast<u32>(s.v[four]), 0u);
    eq(9, bitcast<u32>(s.m[four][neg]), 0u);
    eq(10, l[0] + l[1] + l[2], 6u);
}
