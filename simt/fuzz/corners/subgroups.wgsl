// Subgroup operations among those of 16 that are there: in branches, loops and switches.
var<workgroup> w: array<f32, 48>;

@compute @workgroup_size(48)
fn main(@builtin(local_invocation_index) i: u32, @builtin(subgroup_invocation_id) lane: u32, @builtin(subgroup_size) size: u32) {
    let base = i - lane + src[0];
    let f = f32(lane);
    var ok = true;
    ok &= subgroupAdd(f) == 120.0;
    ok &= subgroupMax(vec2(f, -f)).y == 0.0;
    ok &= subgroupMin(-f) == -15.0;
    ok &= subgroupMul(select(1.0, 2.0, lane < 3u)) == 8.0;
    ok &= subgroupInclusiveAdd(vec3(lane, 1u, 2u)).y == lane + 1u;
    ok &= subgroupExclusiveMul(2u) == (1u << lane);
    if lane % 3u == 1u {
        ok &= subgroupAdd(1u) == 5u;
        ok &= subgroupBroadcastFirst(i) == base + 1u;
        ok &= subgroupInclusiveAdd(1u) == lane / 3u + 1u;
        ok &= subgroupBallot(true).x == 0x2492u;
    } else { ok &= subgroupAdd(1u) == 11u; }
    var n = 0u;
    for (var k = 0u; k < lane; k++) { n += subgroupAdd(1u); }
    var want = 0u;
    for (var k = 0u; k < lane; k++) { want += 15u - k; }
    ok &= n == want;
    ok &= subgroupShuffle(f * 0.5, 15u - lane) == (15.0 - f) * 0.5;
    ok &= subgroupShuffleXor(vec2(i, lane), 3u).y == (lane ^ 3u);
    ok &= subgroupAll(lane < 16u) && !subgroupAll(lane < 15u) && subgroupAny(lane == 15u) && !subgroupAny(lane == 16u);
    ok &= quadSwapX(lane) == (lane ^ 1u) && quadSwapY(f) == f32(lane ^ 2u) && quadBroadcast(vec2(lane), 3u).x == (lane | 3u);
    switch lane % 4u {
        case 0u: { ok &= subgroupAdd(1u) == 4u; }
        case 1u, 2u: { ok &= subgroupAdd(1u) == 8u; }
        default: { ok &= subgroupAdd(i) == base * 4u + 36u; }
    }
    w[i] = f;
    workgroupBarrier();
    ok &= subgroupAdd(w[base + 15u - lane]) == 120.0;
    ok &= subgroupAdd(-1) == -16;
    ok &= subgroupAnd(~(1u << lane)) == 0xffff0000u;
    ok &= subgroupXor(i32(lane)) == 0;
    ok &= subgroupOr(vec2(1u << lane)).x == 0xffffu;
    eq(i, u32(ok), 1u);
}
