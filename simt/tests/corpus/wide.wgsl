// 64-bit integers, which naga adds to WGSL.
struct Mixed { n: u32, big: i64, v: vec3<u64> }
@group(0) @binding(0) var<storage, read> a: array<i64>;
@group(0) @binding(1) var<storage, read_write> out: array<i64>;
@group(0) @binding(2) var<storage, read_write> mixed: Mixed;
var<workgroup> kept: array<u64, 4>;

@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    let x = a[i];
    let y = a[(i + 1u) % 4u];
    let o = i * 13u;
    out[o + 0u] = x + y;
    out[o + 1u] = x * y;
    out[o + 2u] = x / y;
    out[o + 3u] = x % y;
    out[o + 4u] = x << (i + 33u);
    out[o + 5u] = x >> (i + 33u);
    out[o + 6u] = min(x, y) ^ max(x, y);
    out[o + 7u] = select(i64(1), i64(2), x < y) + i64(x == y);
    out[o + 8u] = i64(f32(x >> 1u));
    kept[i] = u64(x) + 1lu;
    workgroupBarrier();
    out[o + 9u] = i64(kept[3u - i]);
    var list: array<i64, 3>;
    list[i % 3u] = x;
    list[(i + 1u) % 3u] = y;
    out[o + 10u] = list[0] - list[1] + list[2];
    out[o + 11u] = abs(x) + (-x) + ~y;
    out[o + 12u] = i64(u32(x)) + i64(i32(y));
    if i == 0u {
        mixed.big = mixed.big + i64(mixed.n);
        mixed.v.z = mixed.v.x * mixed.v.y;
    }
}
