// Short circuits, the order of evaluation, functions with several returns, shadowing.
var<private> trace: u32;
fn t(d: u32, r: bool) -> bool { trace = trace * 10u + d; return r; }
fn u(d: u32) -> u32 { trace = trace * 10u + d; return d; }
fn three(a: u32, b: u32, c: u32) -> u32 { return a * 100u + b * 10u + c; }
struct P { a: u32, b: array<u32, 3> }
fn mkp(i: u32) -> P {
    var p: P;
    p.a = i;
    if i > 1u { p.b[i % 3u] = i; return p; }
    p.b[0] = 99u;
    return p;
}
fn mod_and_ret(p: ptr<function, array<u32, 4>>, i: u32) -> u32 { (*p)[i] += 10u; return i; }

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32) {
    let n = src[i];
    let even = n % 2u == 0u;
    trace = 0u;
    _ = t(1u, even) && t(2u, n > 3u) || t(3u, true);
    var want = select(13u, select(123u, 12u, n > 3u), even);
    eq(i, trace, want);
    trace = 0u;
    let v = three(u(1u), u(2u), u(3u));
    eq(8u + i, trace * 1000u + v, 123123u);
    trace = 0u;
    if !(t(1u, even) || t(2u, n == 1u)) { trace += 500u; }
    want = select(select(512u, 12u, n == 1u), 1u, even);
    eq(16u + i, trace, want);
    var arr = array<u32, 4>(1u, 2u, 3u, 4u);
    arr[mod_and_ret(&arr, n % 4u)] += 100u;
    eq(24u + i, arr[n % 4u], n % 4u + 1u + 10u + 100u);
    let p = mkp(n);
    eq(32u + i, p.a * 1000u + p.b[0] + p.b[1] * 10u + p.b[2] * 100u, select(n * 1000u + 99u, n * 1000u + n * select(select(100u, 10u, n % 3u == 1u), 1u, n % 3u == 0u), n > 1u));
    var x = n;
    {
        let x = x * 2u;
        var y = x;
        y += 1u;
        eq(40u + i, y, n * 2u + 1u);
    }
    x += 5u;
    eq(48u + i, x, n + 5u);
    _ = u(7u);
    let big = array<P, 2>(mkp(n), mkp(n + 1u));
    eq(56u + i, big[n % 2u].a, n + n % 2u);
    var q = 0u;
    for (var k = 0u; k < 3u; k++) { let z = mkp(k + n); q += z.b[(k + n) % 3u]; }
    var w = 0u;
    for (var k = 0u; k < 3u; k++) { let m = k + n; w += select(select(0u, 99u, m == 0u), m, m > 1u); }
    eq(64u + i, q, w);
    trace = 0u;
    while t(1u, trace < 1111u) {
        if n > 4u { trace += 5000u; }
    }
    eq(72u + i, trace, select(1111u * 10u + 1u, (1u + 5000u) * 10u + 1u, n > 4u));
}
