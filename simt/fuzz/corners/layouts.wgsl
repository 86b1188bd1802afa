// Uniform buffers with alignment, size and padding; every scalar holds its place in the buffer.
struct I { a: f32, @size(12) p: f32, b: vec3<f32> }
struct U { n: u32, @align(16) i: array<I, 2>, m: mat3x3<f32>, m2: mat2x2<f32>, v: array<vec4<f32>, 2>, b: vec3<u32>, c: u32, mm: array<mat4x2<f32>, 2> }
@group(0) @binding(2) var<uniform> u: U;
@group(0) @binding(3) var<uniform> single: vec3<f32>;

@compute @workgroup_size(2)
fn main(@builtin(local_invocation_index) l: u32) {
    let k = src[l];
    if l == 0u {
        let z = k;
        let o = z + 1u;
        ef(0, u.i[o].b.y, 17.0);
        ef(1, u.m[o][z], 24.0);
        ef(2, u.m[2].z, 30.0);
        ef(3, u.m2[o].x, 34.0);
        ef(4, u.v[o][2], 42.0);
        eq(5, u.b.z, 46u);
        eq(6, u.c, 47u);
        ef(7, u.mm[o][3].y, 63.0);
        ef(8, u.mm[o][z + 2u][o], 61.0);
        ef(9, single.z, 2.0);
        let c = u;
        ef(10, c.i[o].p, 13.0);
        let t = u.mm;
        ef(11, t[o][o].x, 58.0);
        ef(12, u.i[z].b.x, 8.0);
    }
}
