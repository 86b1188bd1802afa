// Truth values as scalars, vectors, members and elements; what becomes of them.
struct B { a: bool, v: vec3<bool>, l: array<bool, 3> }
var<private> p: B;
var<workgroup> w: B;
fn f(b: bool, c: vec2<bool>) -> bool { return b != c.x; }

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32) {
    let n = src[i];
    let t = n % 2u == 1u;
    let u = n > 3u;
    eq(i, u32(t & u) + 2u * u32(t | u) + 4u * u32(t != u) + 8u * u32(t == u) + 16u * u32(!t), select(0u,1u,n==5u||n==7u) + select(2u, 0u, n == 0u || n == 2u) + select(0u, 4u, (n < 4u) == (n % 2u == 1u)) + select(8u, 0u, (n < 4u) == (n % 2u == 1u)) + 16u * (1u - n % 2u));
    let a = vec3(t, u, true);
    let b = vec3(u, u, false);
    let c = select(vec3(1u, 2u, 4u), vec3(8u, 16u, 32u), a);
    eq(8u + i, c.x + c.y + c.z, select(1u, 8u, t) + select(2u, 16u, u) + 32u);
    let d = (a & b) | !a;
    eq(16u + i, u32(all(d)) + 2u * u32(any(a & b)) + 4u * u32(d.x), 0u + 2u * u32(u) + 4u * u32(!t || u));
    p.l[n % 3u] = t;
    p.v[(n + 1u) % 3u] = u;
    p.a = p.l[n % 3u] != p.v[(n + 1u) % 3u];
    eq(24u + i, u32(p.a), u32(t != u));
    let q = p;
    eq(32u + i, u32(q.v.x) + 2u * u32(q.v.y) + 4u * u32(q.v.z), select(0u, 1u << ((n + 1u) % 3u), u));
    if i == 5u { w = q; }
    workgroupBarrier();
    eq(40u + i, u32(w.l[2]) + 2u * u32(w.v[z0()]) + 4u * u32(w.a), 3u);
    eq(48u + i, u32(f(t, vec2(u, t))), u32(t != u));
    ef(56u + i, f32(t) + f32(any(t)) + f32(all(u)), f32(n % 2u) * 2.0 + f32(u32(u)));
    let e = vec2<bool>(vec2(n, 0u));
    eq(64u + i, u32(e.x) + 2u * u32(e.y), u32(n != 0u));
    let g = vec2<i32>(vec2(t, u));
    eq(72u + i, u32(g.x + g.y * 2), u32(t) + 2u * u32(u));
    let lt = vec3(n) < vec3(1u, 4u, 9u);
    eq(80u + i, u32(lt.x) + u32(lt.y) + u32(lt.z), u32(n < 1u) + u32(n < 4u) + 1u);
    let sh = vec2(n, n + 1u) << vec2(n, 1u);
    eq(88u + i, sh.x + sh.y, (n << n) + 2u * (n + 1u));
    let ng = -vec2(i32(n), 3);
    eq(96u + i, u32(ng.x + ng.y + 20), 17u - n);
    var r = atomicProbe(n);
    eq(104u + i, r, n);
    var m = modf(vec2(f32(n) + 0.25, -1.5));
    m.whole.x += 1.0;
    ef(112u + i, m.whole.x + m.fract.y, f32(n) + 0.5);
}
fn z0() -> u32 { return src[0]; }
fn atomicProbe(n: u32) -> u32 { return n; }
