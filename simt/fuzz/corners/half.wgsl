enable f16;
// Half floats: layouts with padding, rounding, functions, conversions.
struct U { a: f16, b: vec3<f16>, c: f16, m: mat3x3<f16>, d: array<vec4<u32>, 2>, e: vec2<f16>, last: f16 }
@group(0) @binding(2) var<uniform> u: U;
@group(0) @binding(3) var<storage, read_write> h: array<f16>;
struct Sm { a: f16, b: array<f16, 3>, c: vec3<f16>, d: f16 }
@group(0) @binding(4) var<storage, read_write> sm: array<Sm>;
var<private> pr: array<vec3<f16>, 3>;
var<workgroup> wg: array<Sm, 2>;
fn poly(x: f16, p: ptr<function, vec4<f16>>) -> f16 { (*p)[u32(x) % 4u] += x; return fma(x, x, 1.0h); }

@compute @workgroup_size(1)
fn main() {
    let z = src[0];
    let one = src[1];
    let f = f32(z);
    let g = f16(f);
    ef(0, f32(u.a), 0.0);
    ef(1, f32(u.b.y), 5.0);
    ef(2, f32(u.c), 7.0);
    ef(3, f32(u.m[1].z), 14.0);
    eq(4, u.d[one].w, 19u);
    ef(5, f32(u.e.y), 41.0);
    ef(6, f32(u.last), 42.0);
    ef(7, f32(u.m[one + 1u][z]), 16.0);
    h[3] = 1.5h + g;
    h[z + 4u] = 2.5h;
    h[5] = h[3] + h[4];
    ef(8, f32(h[5]), 4.0);
    eq(9, arrayLength(&h), 8u);
    ef(10, f32(h[7]), 0.0);
    h[7] = 3.0h;
    ef(11, f32(h[z + 7u]), 3.0);
    sm[1].b[one] = 2.0h;
    sm[1].c.z = 3.0h;
    sm[1].d = 4.0h;
    sm[0] = sm[1];
    ef(12, f32(sm[0].b[1] + sm[z].c.z * 10.0h + sm[0].d * 100.0h), 432.0);
    wg[one] = sm[z];
    wg[z] = wg[1];
    ef(13, f32(wg[0].d), 4.0);
    pr[one].y = 6.0h;
    pr[2] = pr[one].yxy;
    ef(14, f32(pr[2].z), 6.0);
    ef(15, f32(2049.0h + g), 2048.0);
    ef(16, f32(0.1h + 0.2h + g), 0.2998046875);
    ef(17, f32(f16(1e-8 + f)), 0.0);
    ef(22, f32(sqrt(16.0h + g)), 4.0);
    ef(23, f32(dot(vec3(1.0h, 2.0h, 3.0h) + g, vec3(2.0h))), 12.0);
    let m = modf(2.75h + g);
    ef(26, f32(m.fract), 0.75);
    ef(27, f32(ldexp(0.5h + g, 3)), 4.0);
    var p4 = vec4<f16>(1.0h);
    ef(28, f32(poly(3.0h + g, &p4)), 10.0);
    ef(29, f32(p4.w), 4.0);
    eq(30, u32(-2.5h + g), 0u);
    eq(31, u32(i32(-2.5h + g) + 5), 3u);
    ef(32, f32(f16(-3 + i32(z))), -3.0);
    ef(33, f32(f16(70u + z)), 70.0);
    eq(34, u32(bool(g)), 0u);
    ef(35, f32(f16(z == 0u)), 1.0);
    ef(36, f32(select(1.0h, 2.0h, g == 0.0h)), 2.0);
    ef(37, f32(mix(1.0h + g, 3.0h, 0.5h)), 2.0);
    ef(38, f32(clamp(vec2(5.0h, -5.0h) + g, vec2(0.0h), vec2(1.0h)).x), 1.0);
    ef(39, f32(7.5h % (2.0h + g)), 1.5);
    ef(40, f32(-(1.0h + g) / 3.0h), -0.333251953125);
    ef(41, f32(floor(-0.5h + g)), -1.0);
    ef(42, f32(round(1.5h + g)), 2.0);
    ef(43, f32(max(vec3(1.0h, 2.0h, 3.0h), vec3(2.0h) + g).z), 3.0);
    ef(44, f32(f16(65519.0 + f)), 65504.0);
    ef(45, f32(f16(5.960464477539063e-8 + f)), 5.960464477539063e-8);
    var acc = 0.0h;
    for (var i = 0.0h; i < 10.0h; i += 1.0h) { acc += i; }
    ef(46, f32(acc), 45.0);
}
