// Pointers to members of members in every address space, passed on from function to function.
struct In { a: vec3<u32>, m: mat2x3<f32>, list: array<vec2<u32>, 3> }
struct Mid { pad: u32, ins: array<In, 2>, tail: u32 }
var<private> mids: array<Mid, 2>;
var<workgroup> wmids: array<Mid, 2>;
@group(0) @binding(2) var<storage, read_write> smids: array<Mid>;
fn inc(p: ptr<function, u32>) { *p += 1u; }
fn set_col(p: ptr<function, vec3<f32>>, i: u32, v: f32) { (*p)[i] = v; }
fn two(p: ptr<function, In>, q: ptr<function, In>) {
    let t = (*p).a;
    (*p).a = (*q).a;
    (*q).a = t;
    (*p).list[1].y += 5u;
}
fn deeper(p: ptr<function, Mid>, i: u32) -> u32 {
    two(&(*p).ins[0], &(*p).ins[1]);
    (*p).tail += i;
    inc(&(*p).tail);
    return (*p).ins[i].list[1].y;
}
fn priv_in(p: ptr<private, In>, i: u32) -> u32 {
    (*p).list[i].x = 77u + i;
    return (*p).list[i].x + (*p).list[(i + 1u) % 3u].x;
}

@compute @workgroup_size(1)
fn main() {
    let z = src[0];
    let one = src[1];
    let two_ = src[2];
    var m: Mid;
    m.ins[one].a = vec3(1u,2u,3u);
    m.ins[z].a = vec3(4u,5u,6u);
    let r = deeper(&m, z);
    eq(0, m.ins[0].a.y, 2u);
    eq(1, m.ins[1].a.z, 6u);
    eq(2, r, 5u);
    eq(3, m.tail, 1u);
    let p = &m.ins[one];
    let q = &(*p).list;
    let s = &(*q)[two_];
    (*s).y = 9u;
    (*s)[z] += 3u;
    eq(4, m.ins[1].list[2].x * 10u + m.ins[1].list[2].y, 39u);
    let col = &m.ins[one].m[one];
    (*col)[two_] = 2.5;
    (*col).x = 1.5;
    set_col(col, one, 7.0);
    ef(5, m.ins[1].m[1].x, 1.5);
    ef(6, m.ins[1].m[1].y, 7.0);
    ef(7, m.ins[1].m[1].z, 2.5);
    ef(8, m.ins[1].m[0].z, 0.0);
    eq(9, priv_in(&mids[one].ins[one], two_), 79u);
    mids[z] = mids[one];
    mids[one].ins[one].list[2].x = 1u;
    eq(10, mids[0].ins[1].list[2].x, 79u);
    let wp = &wmids[one].ins[z];
    (*wp).list[one] = vec2(8u, 9u);
    (*wp).m = mat2x3<f32>(1.,2.,3.,4.,5.,6.);
    eq(11, wmids[1].ins[0].list[1].y, 9u);
    ef(12, wmids[1].ins[0].m[1][0], 4.0);
    wmids[z] = wmids[one];
    ef(13, wmids[0].ins[0].m[0][2], 3.0);
    smids[one] = wmids[z];
    ef(14, smids[1].ins[0].m[1].z, 6.0);
    let sp = &smids[one].ins[z];
    (*sp).m[z] *= 2.0;
    ef(15, smids[1].ins[0].m[0].z, 6.0);
    (*sp).a.y++;
    (*sp).a.y++;
    (*sp).a.z--;
    eq(16, smids[1].ins[0].a.y, 2u);
    eq(17, smids[1].ins[0].a.z, 0xffffffffu);
    var arr = array<array<u32,3>,2>(array(1u,2u,3u),array(4u,5u,6u));
    let row = &arr[one];
    (*row)[z] = 40u;
    let copy = *row;
    (*row)[1] = 50u;
    eq(18, copy[0]+copy[1]*100u, 540u);
    eq(19, arr[1][1], 50u);
    var v = vec4(1u,2u,3u,4u);
    v[one] = 20u;
    v[one] += 1u;
    inc(&arr[one][two_]);
    eq(20, v.y, 21u);
    eq(21, arr[1][2], 7u);
    eq(22, sp.a.y, 2u);
    sp.list[two_].y = 4u;
    eq(23, smids[1].ins[0].list[2][one], 4u);
}
