// Integer arithmetic with its corner cases. One invocation per pair; 20 words of answers each.
@group(0) @binding(0) var<storage, read> a: array<i32>;
@group(0) @binding(1) var<storage, read> b: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(7)
fn signed(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    let x = a[i];
    let y = b[i];
    let o = i * 24u;
    out[o + 0u] = bitcast<u32>(x + y);
    out[o + 1u] = bitcast<u32>(x - y);
    out[o + 2u] = bitcast<u32>(x * y);
    out[o + 3u] = bitcast<u32>(x / y);
    out[o + 4u] = bitcast<u32>(x % y);
    out[o + 5u] = bitcast<u32>(x & y);
    out[o + 6u] = bitcast<u32>(x | y);
    out[o + 7u] = bitcast<u32>(x ^ y);
    out[o + 8u] = bitcast<u32>(x << bitcast<u32>(y));
    out[o + 9u] = bitcast<u32>(x >> bitcast<u32>(y));
    out[o + 10u] = bitcast<u32>(-x);
    out[o + 11u] = bitcast<u32>(~x);
    out[o + 12u] = bitcast<u32>(abs(x));
    out[o + 13u] = bitcast<u32>(min(x, y));
    out[o + 14u] = bitcast<u32>(max(x, y));
    out[o + 15u] = bitcast<u32>(sign(x));
    out[o + 16u] = u32(x == y) | u32(x != y) << 1u | u32(x < y) << 2u | u32(x <= y) << 3u | u32(x > y) << 4u | u32(x >= y) << 5u;
    out[o + 17u] = bitcast<u32>(clamp(x, -5, 5));
    out[o + 18u] = select(1u, 2u, x < y);
    out[o + 19u] = u32(!(x < y)) + u32((x < 0) & (y < 0)) * 2u + u32((x < 0) | (y < 0)) * 4u + u32(x < 0 && y < 0) * 8u + u32(x < 0 || y < 0) * 16u;
    out[o + 20u] = bitcast<u32>(dot(vec3(x, y, 2), vec3(y, 1, x)));
    out[o + 21u] = bitcast<u32>(extractBits(x, 4u, 9u));
    out[o + 22u] = bitcast<u32>(firstLeadingBit(x));
    out[o + 23u] = bitcast<u32>(firstTrailingBit(x));
}

@compute @workgroup_size(7)
fn unsigned(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    let x = bitcast<u32>(a[i]);
    let y = bitcast<u32>(b[i]);
    let o = i * 24u;
    out[o + 0u] = x + y;
    out[o + 1u] = x - y;
    out[o + 2u] = x * y;
    out[o + 3u] = x / y;
    out[o + 4u] = x % y;
    out[o + 5u] = x >> y;
    out[o + 6u] = x << y;
    out[o + 7u] = min(x, y);
    out[o + 8u] = max(x, y);
    out[o + 9u] = u32(x < y) | u32(x <= y) << 1u | u32(x > y) << 2u | u32(x >= y) << 3u;
    out[o + 10u] = countOneBits(x);
    out[o + 11u] = countLeadingZeros(x);
    out[o + 12u] = countTrailingZeros(x);
    out[o + 13u] = reverseBits(x);
    out[o + 14u] = firstLeadingBit(x);
    out[o + 15u] = firstTrailingBit(x);
    out[o + 16u] = extractBits(x, y, 5u);
    out[o + 17u] = extractBits(x, 30u, y);
    out[o + 18u] = insertBits(x, 0xabcdu, y, 7u);
    out[o + 19u] = insertBits(x, y, 0u, 32u);
    out[o + 20u] = abs(x);
    out[o + 21u] = bitcast<u32>(dot4I8Packed(x, y));
    out[o + 22u] = dot4U8Packed(x, y);
    out[o + 23u] = clamp(x, 3u, 9u);
}
