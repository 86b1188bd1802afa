// Subgroup operations; a subgroup here is 16 lanes. 40 invocations: two full ones and a part.
@group(0) @binding(0) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(40)
fn main(@builtin(local_invocation_index) i: u32, @builtin(subgroup_size) size: u32, @builtin(subgroup_invocation_id) lane: u32, @builtin(subgroup_id) subgroup: u32, @builtin(num_subgroups) count: u32) {
    let o = i * 32u;
    out[o + 0u] = size * 1000u + lane * 100u + subgroup * 10u + count;
    out[o + 1u] = subgroupBallot(i % 3u == 0u).x;
    out[o + 2u] = subgroupAdd(i);
    out[o + 3u] = subgroupMul(1u + i % 2u);
    out[o + 4u] = u32(subgroupMin(i32(i) - 20) + 100);
    out[o + 5u] = u32(subgroupMax(i32(i) - 20) + 100);
    out[o + 6u] = subgroupAnd(i | 0xf0u);
    out[o + 7u] = subgroupOr(i);
    out[o + 8u] = subgroupXor(i);
    out[o + 9u] = u32(subgroupAll(i < 32u)) + 2u * u32(subgroupAny(i == 17u));
    out[o + 10u] = subgroupInclusiveAdd(i);
    out[o + 11u] = subgroupExclusiveAdd(i);
    out[o + 12u] = subgroupInclusiveMul(1u + i % 2u);
    out[o + 13u] = subgroupExclusiveMul(1u + i % 2u);
    out[o + 14u] = subgroupBroadcastFirst(i);
    out[o + 15u] = subgroupBroadcast(i, 5u);
    out[o + 16u] = subgroupShuffle(i, (lane + 3u) % 16u);
    out[o + 17u] = subgroupShuffleDown(i, 2u);
    out[o + 18u] = subgroupShuffleUp(i, 2u);
    out[o + 19u] = subgroupShuffleXor(i, 5u);
    out[o + 20u] = quadBroadcast(i, 2u);
    out[o + 21u] = quadSwapX(i);
    out[o + 22u] = quadSwapY(i);
    out[o + 23u] = quadSwapDiagonal(i);
    if i % 2u == 0u {
        out[o + 24u] = subgroupAdd(1u);
        out[o + 25u] = subgroupBroadcastFirst(i + 7u);
        out[o + 26u] = subgroupBallot().x;
    }
    out[o + 27u] = u32(subgroupAdd(vec2(0.5, 1.5)).y * 2.0);
    subgroupBarrier();
}
