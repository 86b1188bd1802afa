// Matrices of several shapes, in memory and in registers.
struct Shapes { square: mat3x3<f32>, tall: mat2x4<f32>, wide: mat4x2<f32>, small: mat2x2<f32>, big: mat4x4<f32> }
@group(0) @binding(0) var<storage, read> a: Shapes;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> back: mat3x3<f32>;

@compute @workgroup_size(1)
fn main() {
    let m = a.square;
    out[0] = vec4(m * vec3(1.0, 2.0, 3.0), determinant(m));
    out[1] = vec4(vec3(1.0, 2.0, 3.0) * m, determinant(a.small));
    out[2] = vec4((m * m)[1], determinant(a.big));
    out[3] = a.tall * vec2(2.0, -1.0);
    out[4] = vec4(a.wide * vec4(1.0, 2.0, 3.0, 4.0), vec2(1.0) * a.small);
    out[5] = transpose(a.wide)[1];
    out[6] = vec4(transpose(m)[2], 0.0);
    out[7] = transpose(a.big)[1];
    out[8] = (a.wide * a.tall)[0].xyxy + vec4(vec2(0.0), (a.wide * a.tall)[1]);
    let sum = m + m - 2.0 * m * 0.5;
    out[9] = vec4(sum[0], sum[2][1]);
    back = m * 2.0;
    for (var i = 0u; i < 3u; i++) {
        back[i][2u - i] += 100.0;
    }
    var local = mat2x3<f32>(vec3(1.0), vec3(2.0));
    for (var i = 0u; i < 2u; i++) {
        local[i] = local[i] * f32(i + 3u);
        local[i][i] = 0.5;
    }
    out[10] = vec4(local[0], local[1].z);
    out[11] = vec4(local[1], transpose(a.small)[0].y);
    out[12] = (mat4x4<f32>() + a.big)[3];
}
