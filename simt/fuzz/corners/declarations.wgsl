diagnostic(off, derivative_uniformity);
// Constants, aliases, attributes, names beyond ASCII, abstract numbers.
alias Vec = vec3<f32>;
alias Num = u32;
const_assert 1 + 1 == 2;
struct Étoile { größe: u32, @align(16) b: u32, @size(32) c: vec2<u32>, d: u32 }
const N = 3u;
const M = N * 2u + select(1u, 2u, N > 2u);
const ARR = array<vec2<i32>, N>(vec2(1, -1), vec2(2), vec2(3, 4));
const LEN = u32(length(vec2(3.0, 4.0)));
const BITS = countOneBits(0xffu);
const NEG = -7 / 2;
const MODC = -7 % 3;
const SH = 1u << 5u;
const F = f32(7) / 2.0;
const MX = max(3, 5);
const CL = clamp(9.0, 0.0, 2.5);
@group(0) @binding(2) var<storage, read_write> e: array<Étoile>;
fn dflt(x: f32) -> f32 {
    if x > 0 { return 1; } else if x < 0 { return -1; }
    return 0;
}
fn noret(x: ptr<function, u32>) {
    if *x > 5u { return; }
    *x = 5u;
}
fn fold(a: u32) -> u32 { return u32(0.5 * 4) + a; }

@compute @workgroup_size(M - 6u, 1, 1)
fn main(@builtin(local_invocation_index) l: u32, @builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) nw: vec3<u32>, @builtin(global_invocation_id) gid: vec3<u32>) {
    let z = src[0];
    let i = i32(z);
    if l == 1u {
        eq(0, M, 8u);
        eq(1, LEN + BITS, 13u);
        eq(2, bitcast<u32>(i32(NEG) * 10 + MODC), bitcast<u32>(i32(-31)));
        eq(3, SH, 32u);
        ef(4, F + CL, 6.0);
        eq(5, u32(MX), 5u);
        eq(6, bitcast<u32>(ARR[z].y), 0xffffffffu);
        e[1].d = 9u;
        e[1].c = vec2(3u, 4u);
        e[1].b = 7u;
        e[1].größe = 6u;
        eq(7, e[1].d + e[1].c.y * 10u + e[1].b * 100u + e[z + 1u].größe * 1000u, 6749u);
        eq(8, arrayLength(&e), 8u);
        ef(9, dflt(-2.5 + f32(i)), -1.0);
        var k = z + 3u;
        noret(&k);
        eq(10, k, 5u);
        k = 9u;
        noret(&k);
        eq(11, k, 9u);
        eq(12, fold(z), 2u);
        eq(13, nw.x * nw.y, 1u);
        eq(14, gid.x, 1u);
        eq(15, 0x1Fu + 0X2u, 33u);
        ef(16, 0x1p-1 + 0x1.8p1 + 1e1f + .5f, 14.0);
    }
}
