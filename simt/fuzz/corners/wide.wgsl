// 64-bit integers and floats, which naga adds to WGSL.
struct M { a: u32, b: i64, c: vec3<u64>, d: f64, e: array<i64, 2>, f: mat2x3<f64>, g: atomic<i64> }
@group(0) @binding(2) var<storage, read_write> m: M;
var<workgroup> w: array<vec2<i64>, 3>;
var<private> p: array<f64, 3>;
const big: i64 = -5li;
fn el(k: u32, got: i64, want: i64) {
    eq(2u * k, u32(got & 0xffffffffli), u32(want & 0xffffffffli));
    eq(2u * k + 1u, u32(u64(got) >> 32u), u32(u64(want) >> 32u));
}
fn addp(q: ptr<function, i64>, v: i64) -> i64 {
    if v > 3li { *q += v; return *q * 2li; }
    return *q;
}

@compute @workgroup_size(1)
fn main() {
    let z = src[0];
    let one = src[1];
    let l = i64(z);
    let u = u64(z);
    el(0, (5000000000li + l) * 3li, 15000000000li);
    el(1, (-7li + l) / 2li, -3li);
    el(2, (-7li + l) % 2li, -1li);
    el(3, (7li + l) / l, 7li);
    el(4, (7li + l) % l, 0li);
    let mn = (-9223372036854775807li + l) - 1li;
    el(5, mn / (-1li + l), mn);
    el(6, mn % (-1li + l), 0li);
    el(7, abs(mn + 1li), 9223372036854775807li);
    el(8, -mn, mn);
    el(9, (1li + l) << (40u + z), 1099511627776li);
    el(10, (-1099511627776li + l) >> 36u, -16li);
    el(11, i64((~u) >> 60u), 15li);
    el(12, min(-5000000000li + l, 3li), -5000000000li);
    el(13, select(0li, 1li, max(5lu + u, 0xf00000000lu + u) == 0xf00000000lu), 1li);
    el(14, i64(u32((1li << 33u) + 5li + l)), 5li);
    el(15, i64(i32(-1) + i32(z)), -1li);
    el(16, i64(u64(-1 + i32(z))), -1li);
    el(17, i64(f64(-5.75) + f64(z)), -5li);
    el(18, i64(1e30 + f32(z)), 9223372036854775807li);
    el(19, i64(u64(-3.0 + f32(z))), 0li);
    ef(20, f32(0.5lf * f64(one) + 0.25lf), 0.75);
    el(21, bitcast<i64>(1.5lf + f64(z)), 0x3ff8000000000000li);
    el(22, i64(f64(9007199254740993li + l)), 9007199254740992li);
    el(23, i64(sqrt(f64(one) * 16.0lf)), 4li);
    el(24, dot(vec3(1li, 2li, 3li) + l, vec3(1000000000000li)), 6000000000000li);
    el(25, sign(-5li + l), -1li);
    el(26, clamp(50000000000li + l, 0li, 40000000000li), 40000000000li);
    el(27, select(vec2(1li), vec2(2li), vec2(true, one == 1u)).y, 2li);
    m.b = 7000000000li;
    m.c[one] = 9000000000lu;
    m.d = 2.5lf;
    m.e[one] = -9li;
    m.f[one][2] = 1.25lf;
    m.f[z] = m.f[one];
    el(28, m.b + i64(m.c.y) + m.e[one], 15999999991li);
    ef(29, f32(m.f[0].z + m.d), 3.75);
    w[one] = vec2(3li, -4000000000li);
    w[one + 1u] = w[one].yx;
    el(30, w[2].x, -4000000000li);
    p[one] = 3.5lf;
    p[2] = p[one] * 2.0lf;
    ef(31, f32(p[one + 1u]), 7.0);
    var q = 10li + l;
    el(32, addp(&q, 4li) + addp(&q, 3li), 42li);
    el(33, big, -5li);
    atomicAdd(&m.g, 5000000000li);
    atomicMax(&m.g, 6000000000li);
    el(34, atomicLoad(&m.g), 6000000000li);
    atomicMin(&m.g, -2li);
    let o = atomicExchange(&m.g, 77li);
    el(35, o, -2li);
    let c = atomicCompareExchangeWeak(&m.g, 77li, 1li << 40u);
    el(36, select(0li, c.old_value, c.exchanged), 77li);
    el(37, atomicSub(&m.g, 1li), 1099511627776li);
    el(38, atomicAnd(&m.g, 0xffli), 1099511627775li);
    el(39, atomicOr(&m.g, 1li << 50u), 255li);
    el(40, atomicXor(&m.g, 1li), (1li << 50u) + 255li);
    var s = 0li;
    for (var i = 0li; i < 5li; i++) {
        s += i * 3000000000li;
        if i == 3li { continue; }
        s += 1li;
    }
    el(41, s, 30000000004li);
    var arr = array<i64, 4>(1li, 2li, 3li, 4li);
    arr[l + 2li] = 99li;
    el(42, arr[2u], 99li);
    el(43, arr[u + 3lu], 4li);
    el(44, ~l, -1li);
    el(45, (l + 6li) & 3li | 8li ^ 1li, 11li);
    eq(200, u32(l < 1li) + 2u * u32(-1li < l) + 4u * u32(u > 5lu), 3u);
    ef(101, f32(f64(1.0) / f64(3.0 + f32(z))), 0.33333334);
    ef(102, f32(floor(-1.5lf + f64(z))), -2.0);
    ef(103, f32(fract(1.75lf + f64(z))), 0.75);
    ef(104, f32(pow(2.0lf, 3.0lf + f64(z))), 8.0);
    ef(105, f32(mat2x2<f64>(1.0lf, 2.0lf, 3.0lf, 4.0lf)[one].y), 4.0);
    ef(106, f32((mat2x2<f64>(1.0lf, 2.0lf, 3.0lf, 4.0lf) * vec2(1.0lf, f64(one))).y), 6.0);
    ef(107, f32(length(vec2(3.0lf, 4.0lf) + f64(z))), 5.0);
    ef(108, f32(5.5lf % (2.0lf + f64(z))), 1.5);
    ef(109, f32(-3.7lf + f64(z)), -3.7);
    el(55, i64(countOneBits(u + 255lu)), 8li);
    el(56, i64(firstLeadingBit(u + (1lu << 40u))), 40li);
    el(57, i64(countTrailingZeros(u + (1lu << 40u))), 40li);
    el(58, i64(reverseBits(u + 1lu) >> 60u), 8li);
    el(59, i64(firstTrailingBit(u)), -1li);
}
