// Vectors: construction, swizzles, components, geometry.
@group(0) @binding(0) var<storage, read> a: array<vec3<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let u = a[id.x];
    let v = vec3(1.0, -2.0, 0.5) * 1.5;
    let n = normalize(v);
    let o = id.x * 20u;
    out[o + 0u] = vec4(u.zyx, 7.0);
    out[o + 1u] = vec4(cross(u, v), dot(u, v));
    out[o + 2u] = vec4(n, length(u));
    out[o + 3u] = vec4(reflect(u, n), distance(u, v));
    out[o + 4u] = vec4(refract(normalize(u), n, 0.7), 0.0);
    out[o + 5u] = vec4(faceForward(u, v, n), 0.0);
    out[o + 6u] = vec4(u * 2.0 + v, 1.0) / 2.0;
    out[o + 7u] = vec4(select(u, v, u < v), f32(all(u < v)) + 2.0 * f32(any(u < v)));
    var w = vec4<f32>(u.xy, v.yz);
    w.x = 9.0;
    w[id.x % 4u] += 10.0;
    out[o + 8u] = w;
    out[o + 9u] = vec4(u[id.x % 3u], w.wzyx[id.x % 4u], f32(vec2<i32>(3, -4)[id.x % 2u]), 0.0);
    out[o + 10u] = vec4(mix(u, v, 0.5), 0.0);
    out[o + 11u] = vec4(vec3<f32>(vec3<i32>(u * 10.0)), f32(vec2<bool>(true, false).x));
    out[o + 12u] = vec4(modf(u).whole, modf(u).fract.y);
    out[o + 13u] = vec4(vec3<f32>(frexp(u).exp), frexp(u).fract.z);
    out[o + 14u] = clamp(w, vec4(-1.0), vec4(1.0)) + vec4(smoothstep(vec3(0.0), vec3(2.0), u), 0.0);
    out[o + 15u] = vec4(-u, 0.0) + vec4(vec3<f32>(vec3<u32>(3u, 4u, 5u) << vec3(1u, 2u, 3u)), 0.0);
    out[o + 16u].y = 5.0;
    out[o + 16u][id.x % 2u * 2u] = 6.0;
    out[o + 17u] = vec4<f32>();
    out[o + 18u] = vec4(f32(vec3(1u, 2u, 3u).z), mix(u, v, vec3(0.25, 0.5, 0.75)));
    out[o + 19u] = vec4(vec2(u.x % 1.0), ldexp(u.xy, vec2(2, -2)));
}
