// workgroupUniformLoad of every kind of value, in loops and before branches with barriers; workgroups of no round size.
struct S { a: u32, b: vec3<f32>, c: array<u32, 3> }
var<workgroup> w: S;
var<workgroup> arr: array<S, 4>;
var<workgroup> n: u32;
var<workgroup> ok: bool;
var<workgroup> at: atomic<u32>;
var<workgroup> m: mat2x3<f32>;

@compute @workgroup_size(5, 3, 2)
fn main(@builtin(local_invocation_index) i: u32, @builtin(local_invocation_id) l: vec3<u32>) {
    let z = src[0];
    if i == 17u {
        w.a = 5u;
        w.b = vec3(1.0, 2.0, 3.0);
        w.c[2] = 8u;
        arr[3].c[1] = 12u;
        arr[2].b.y = 4.0;
        ok = true;
        m = mat2x3<f32>(1.,2.,3.,4.,5.,6.);
    }
    let s = workgroupUniformLoad(&w);
    let whole = workgroupUniformLoad(&arr);
    let one = workgroupUniformLoad(&arr[z + 3u].c[1]);
    let flag = workgroupUniformLoad(&ok);
    let mm = workgroupUniformLoad(&m);
    var total = 0u;
    if i == 0u { n = 4u; }
    for (var k = 0u; k < workgroupUniformLoad(&n); k++) {
        if i == k { n = 6u + k / 4u; }
        atomicAdd(&at, 1u);
        total += workgroupUniformLoad(&at);
        workgroupBarrier();
    }
    if flag { workgroupBarrier(); total += 1u; }
    switch workgroupUniformLoad(&w.a) {
        case 5u, 6u: { workgroupBarrier(); total += 10000u; }
        default: { total = 0u; }
    }
    if i % 7u == 0u {
        let b = i / 7u * 8u;
        eq(b, s.a * 10u + s.c[2], 58u);
        ef(b + 1u, s.b.y, 2.0);
        eq(b + 2u, whole[z + 3u].c[z + 1u], 12u);
        ef(b + 3u, whole[2].b.y, 4.0);
        eq(b + 4u, one, 12u);
        ef(b + 5u, mm[z + 1u][z + 2u], 6.0);
        eq(b + 6u, total, 10001u + 30u * (1u + 2u + 3u + 4u + 5u + 6u + 7u));
        eq(b + 7u, l.x + l.y * 5u + l.z * 15u, i);
    }
}
