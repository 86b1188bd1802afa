// atomicCompareExchangeWeak in loops and on members, and every atomic function in turn.
struct C { a: atomic<i32>, b: array<atomic<u32>, 4> }
@group(0) @binding(2) var<storage, read_write> c: array<C>;
var<workgroup> w: array<atomic<i32>, 4>;
fn bump(i: u32) -> u32 {
    var spins = 0u;
    var old = atomicLoad(&c[1].b[i]);
    loop {
        let r = atomicCompareExchangeWeak(&c[1].b[i], old, old * 2u + 1u);
        if r.exchanged { return r.old_value; }
        old = r.old_value;
        spins++;
        if spins > 100u { break; }
    }
    return 999u;
}

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) i: u32) {
    let z = src[0];
    let x = bump(i % 4u);
    let r = atomicCompareExchangeWeak(&w[z + 1u], 0, i32(i) + 1);
    workgroupBarrier();
    storageBarrier();
    if r.exchanged { eq(10, u32(atomicLoad(&w[1])), i + 1u); eq(11, u32(r.old_value), 0u); }
    let all = atomicCompareExchangeWeak(&w[2], -7, 3);
    if i < 4u { eq(i, atomicLoad(&c[1].b[i]), 255u); }
    if i == 5u {
        eq(4, u32(all.exchanged), 0u);
        eq(5, u32(all.old_value), 0u);
        eq(6, u32(atomicExchange(&c[z].a, -9)), 0u);
        let r2 = atomicCompareExchangeWeak(&c[z].a, -9, 4);
        eq(7, u32(r2.old_value), bitcast<u32>(i32(-9)));
        eq(8, u32(r2.exchanged), 1u);
        eq(9, u32(atomicMax(&c[0].a, 2)), 4u);
        let r3 = atomicCompareExchangeWeak(&c[5].a, 0, 4);
        eq(12, u32(r3.exchanged), 1u);
        eq(13, u32(atomicMin(&c[0].a, -2)), 4u);
        eq(14, u32(atomicAdd(&c[0].a, 5)), bitcast<u32>(i32(-2)));
        eq(15, u32(atomicSub(&c[0].a, 1)), 3u);
        eq(16, u32(atomicXor(&c[0].a, 7)), 2u);
        eq(17, u32(atomicOr(&c[0].a, 8)), 5u);
        eq(18, u32(atomicAnd(&c[0].a, 9)), 13u);
        atomicStore(&c[0].a, 21);
        eq(19, u32(atomicLoad(&c[0].a)), 21u);
    }
}
