enable wgpu_int16;
// 16-bit integers wrap at their own width.
@group(0) @binding(0) var<storage, read> a: array<i16>;
@group(0) @binding(1) var<storage, read_write> out: array<i16>;
@group(0) @binding(2) var<storage, read_write> unsigned: array<u16>;

@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    let x = a[i];
    let y = a[(i + 1u) % 4u];
    let o = i * 8u;
    out[o + 0u] = x + y;
    out[o + 1u] = x * y;
    out[o + 2u] = x / y;
    out[o + 3u] = -x;
    out[o + 4u] = x << 3u;
    out[o + 5u] = x >> 3u;
    out[o + 6u] = i16(i32(x) * 3);
    out[o + 7u] = i16(f32(x) * 2.0);
    let u = u16(x);
    let v = u16(y);
    unsigned[o + 0u] = u + v;
    unsigned[o + 1u] = u * v;
    unsigned[o + 2u] = u / v;
    unsigned[o + 3u] = ~u;
    unsigned[o + 4u] = u << 3u;
    unsigned[o + 5u] = u >> 3u;
    unsigned[o + 6u] = u16(u32(u) * 3u);
    unsigned[o + 7u] = max(u, v);
}
