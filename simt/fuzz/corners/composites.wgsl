// Arrays of arrays of structures in private and workgroup memory, constants and values; all indexed at run time.
struct A { x: u32, y: array<vec3<u32>, 2>, z: bool, w: mat2x2<f32> }
struct B { a: array<A, 3>, n: vec2<bool>, deep: array<array<array<u32, 2>, 3>, 2> }
var<private> b: B = B(array<A, 3>(A(1u, array(vec3(1u), vec3(2u)), true, mat2x2<f32>(1.,2.,3.,4.)), A(), A(3u, array(vec3(7u), vec3(8u)), false, mat2x2<f32>())), vec2(true, false), array(array(array(1u,2u),array(3u,4u),array(5u,6u)),array(array(7u,8u),array(9u,10u),array(11u,12u))));
var<workgroup> wb: array<B, 2>;
const T = array<A, 2>(A(10u, array(vec3(4u, 5u, 6u), vec3(2u)), true, mat2x2<f32>()), A(20u, array(vec3(9u), vec3(2u)), false, mat2x2<f32>(1.,2.,3.,4.)));
const D = array(array(1, 2, 3), array(4, 5, 6));
const V = vec4(1.5, 2.5, 3.5, 4.5);
fn swap(i: u32, j: u32) {
    let t = b.a[i];
    b.a[i] = b.a[j];
    b.a[j] = t;
}
fn val(x: B, i: u32) -> u32 {
    var c = x;
    c.deep[i][i][i] += 100u;
    return c.deep[1][1][1] + x.deep[1][1][1] * 1000u + x.a[i].y[i].z * 1000000u;
}
fn mk(i: u32) -> array<A, 2> {
    var r = T;
    r[i].x += i;
    return r;
}

@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) l: u32) {
    let i = src[l];
    let z = src[0];
    let one = src[1];
    let q = l * 40u;
    eq(q, b.a[i % 3u].x, select(select(3u, 0u, i == 1u), 1u, i % 3u == 0u));
    b.a[i % 3u].y[one].y = 50u + i;
    b.n[one] = i == 2u;
    b.deep[i % 2u][i % 3u][one] += i;
    eq(q + 1u, b.a[i % 3u].y[1].y, 50u + i);
    eq(q + 2u, u32(b.n.y), u32(i == 2u));
    eq(q + 3u, b.deep[i % 2u][i % 3u][1], (i % 2u) * 6u + (i % 3u) * 2u + 2u + i);
    swap(i % 3u, (i + 1u) % 3u);
    eq(q + 4u, b.a[(i + 1u) % 3u].y[1].y, 50u + i);
    eq(q + 5u, val(b, one), (b.deep[1][1][1] + 100u) + b.deep[1][1][1] * 1000u + b.a[1].y[1].z * 1000000u);
    eq(q + 6u, T[i % 2u].x, 10u + 10u * (i % 2u));
    eq(q + 7u, u32(D[i % 2u][(i + 1u) % 3u]), (i % 2u) * 3u + (i + 1u) % 3u + 1u);
    ef(q + 8u, V[i], f32(i) + 1.5);
    let m = mk(i % 2u);
    eq(q + 9u, m[i % 2u].x, 10u + 11u * (i % 2u));
    eq(q + 10u, mk(1u)[i % 2u].y[z][i % 3u], select(9u, 4u + i % 3u, i % 2u == 0u));
    if l < 2u { wb[l] = b; }
    workgroupBarrier();
    let o = wb[(l + 1u) % 2u];
    eq(q + 11u, o.deep[1][2][1], 12u + select(0u, 0u, l > 0u));
    eq(q + 12u, u32(wb[0].a[1].z), u32(true));
    eq(q + 13u, u32(wb[1].a[z].y[1].y), 0u + wb[1].a[0].y[1].y);
    var big: array<u32, 300>;
    for (var k = 0u; k < 300u; k++) { big[(k * 7u + i) % 300u] = k; }
    eq(q + 14u, big[(100u * 7u + i) % 300u], 100u);
    var vs: array<vec2<f32>, 5>;
    vs[i].x = 1.0;
    vs[(i + 1u)].y = 2.0;
    vs[i] += vs[i + 1u].yx * vs[i].xx;
    ef(q + 15u, vs[i].x, 3.0);
    var bv = vec4<bool>();
    bv[i] = true;
    eq(q + 16u, u32(bv.x) + 2u * u32(bv.y) + 4u * u32(bv.z) + 8u * u32(bv.w), 1u << i);
    var e = vec3(1u, 2u, 3u);
    e[i % 3u] *= 10u;
    let g = e;
    eq(q + 17u, g[i % 3u], (i % 3u + 1u) * 10u);
    e = e.zxy;
    eq(q + 18u, e.x, g.z);
    let lv = vec4(i, i + 1u, i + 2u, i + 3u);
    eq(q + 19u, lv[i], 2u * i);
    let la = array(vec2(i, 1u), vec2(2u, i));
    eq(q + 20u, la[i % 2u][(i + 1u) % 2u], select(1u * 2u, 1u, i % 2u == 0u));
}
