enable f16;
// Half floats: arithmetic rounds after every step.
struct Mixed { a: f16, v: vec3<f16>, b: f16, m: mat2x2<f16> }
@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read_write> out: array<f16>;
@group(0) @binding(2) var<storage, read_write> mixed: Mixed;
@group(0) @binding(3) var<storage, read_write> wide: array<f32>;
var<workgroup> kept: array<f16, 8>;

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32) {
    let x = a[i];
    let y = a[(i + 1u) % 8u];
    kept[i] = x;
    workgroupBarrier();
    let o = i * 8u;
    out[o + 0u] = x + y;
    out[o + 1u] = x * y;
    out[o + 2u] = x / y;
    out[o + 3u] = sqrt(abs(x));
    out[o + 4u] = kept[7u - i];
    out[o + 5u] = f16(f32(x) * 1.001);
    out[o + 6u] = f16(i) + 0.5h;
    out[o + 7u] = min(x, y);
    wide[i] = f32(x) + f32(i32(y));
    if i == 0u {
        mixed.v.y = mixed.a + mixed.b;
        mixed.m = mixed.m * mixed.m;
    }
}
