// Runtime-sized arrays of structures, matrices, arrays and atomics; 8 elements are bound.
struct Item { v: vec3<f32>, n: u32 }
struct Odd { v: vec3<f32> }
struct Buf { head: u32, items: array<Item> }
struct OddBuf { head: vec2<u32>, items: array<Odd> }
struct Cnt { total: atomic<u32>, bins: array<atomic<u32>, 3> }
struct CntBuf { x: u32, c: array<Cnt> }
@group(0) @binding(2) var<storage, read_write> buf: Buf;
@group(0) @binding(3) var<storage, read_write> odd: OddBuf;
@group(0) @binding(4) var<storage, read_write> cnt: CntBuf;
@group(0) @binding(5) var<storage, read_write> mats: array<mat3x3<f32>>;
@group(0) @binding(6) var<storage, read_write> m22: array<mat2x2<f32>>;
@group(0) @binding(7) var<storage, read_write> nest: array<array<vec3<u32>, 2>>;

@compute @workgroup_size(4)
fn main(@builtin(local_invocation_index) i: u32) {
    buf.items[i].v = vec3(f32(i), 1.0, 2.0);
    buf.items[i].n = i * 3u;
    atomicAdd(&cnt.c[i % 2u].total, i);
    atomicAdd(&cnt.c[1].bins[i % 3u], 1u);
    odd.items[i] = Odd(vec3(f32(i)));
    storageBarrier();
    if i == 0u {
        let z = src[0];
        eq(0, arrayLength(&buf.items), 8u);
        let p = &buf.items;
        eq(1, arrayLength(p), 8u);
        eq(2, arrayLength(&odd.items), 8u);
        eq(3, arrayLength(&cnt.c), 8u);
        eq(4, arrayLength(&mats), 8u);
        eq(5, arrayLength(&m22), 8u);
        eq(6, arrayLength(&nest), 8u);
        eq(7, atomicLoad(&cnt.c[1].total), 4u);
        eq(8, atomicLoad(&cnt.c[z].total), 2u);
        eq(9, atomicLoad(&cnt.c[1].bins[z]), 2u);
        ef(10, buf.items[3].v.x, 3.0);
        eq(11, buf.items[z + 2u].n, 6u);
        let it = buf.items[src[2]];
        ef(12, it.v.z, 2.0);
        eq(13, it.n, 6u);
        mats[z + 1u] = mat3x3<f32>(1.,2.,3.,4.,5.,6.,7.,8.,9.);
        mats[2][z] = mats[1][z + 2u];
        ef(14, mats[2][0].y, 8.0);
        ef(15, mats[1][z+1u][z+2u], 6.0);
        m22[3] = mat2x2<f32>(1.,2.,3.,4.);
        ef(16, (m22[z+3u] * vec2(1.0, 10.0)).y, 42.0);
        nest[2][z+1u] = vec3(1u,2u,3u);
        nest[z] = nest[z+2u];
        eq(17, nest[0][1].z, 3u);
        eq(18, nest[z+2u][z+1u][z+1u], 2u);
    }
}
