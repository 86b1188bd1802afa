// Every function of floats, on x in [0.05, 0.95] and y = 1.5 - x unless said.
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(8)
fn unary(@builtin(global_invocation_id) id: vec3<u32>) {
    let x = a[id.x];
    let o = id.x * 40u;
    out[o + 0u] = sin(x);
    out[o + 1u] = cos(x);
    out[o + 2u] = tan(x);
    out[o + 3u] = asin(x);
    out[o + 4u] = acos(x);
    out[o + 5u] = atan(x);
    out[o + 6u] = sinh(x);
    out[o + 7u] = cosh(x);
    out[o + 8u] = tanh(x);
    out[o + 9u] = asinh(x);
    out[o + 10u] = acosh(x + 1.0);
    out[o + 11u] = atanh(x);
    out[o + 12u] = exp(x);
    out[o + 13u] = exp2(x);
    out[o + 14u] = log(x);
    out[o + 15u] = log2(x);
    out[o + 16u] = sqrt(x);
    out[o + 17u] = inverseSqrt(x);
    out[o + 18u] = radians(x);
    out[o + 19u] = degrees(x);
    out[o + 20u] = ceil(x * 7.0 - 3.0);
    out[o + 21u] = floor(x * 7.0 - 3.0);
    out[o + 22u] = round(x * 10.0);
    out[o + 23u] = trunc(x * 7.0 - 3.0);
    out[o + 24u] = fract(x * 7.0 - 3.0);
    out[o + 25u] = abs(x - 0.5);
    out[o + 26u] = sign(x - 0.5);
    out[o + 27u] = saturate(x * 2.0 - 0.5);
    out[o + 28u] = quantizeToF16(x);
    let m = modf(x * 7.0 - 3.0);
    out[o + 29u] = m.fract;
    out[o + 30u] = m.whole;
    let f = frexp(x * 100.0);
    out[o + 31u] = f.fract;
    out[o + 32u] = f32(f.exp);
    out[o + 33u] = ldexp(x, 5);
    out[o + 34u] = -x;
    out[o + 35u] = length(x - 0.5);
}

@compute @workgroup_size(8)
fn binary(@builtin(global_invocation_id) id: vec3<u32>) {
    let x = a[id.x];
    let y = 1.5 - x;
    let o = id.x * 40u;
    out[o + 0u] = x + y * 2.0;
    out[o + 1u] = x - y;
    out[o + 2u] = x * y;
    out[o + 3u] = x / y;
    out[o + 4u] = (x * 9.0) % y;
    out[o + 5u] = min(x, y);
    out[o + 6u] = max(x, y);
    out[o + 7u] = atan2(x, y);
    out[o + 8u] = pow(x, y);
    out[o + 9u] = step(x, 0.5);
    out[o + 10u] = clamp(x, 0.3, 0.6);
    out[o + 11u] = fma(x, y, 2.0);
    out[o + 12u] = mix(x, y, 0.25);
    out[o + 13u] = smoothstep(0.2, 0.8, x);
    out[o + 14u] = distance(x, y);
    out[o + 15u] = select(0.0, 1.0, x < 0.5) + select(0.0, 2.0, x <= 0.5) + select(0.0, 4.0, x > 0.5) + select(0.0, 8.0, x >= 0.5) + select(0.0, 16.0, x == 0.5) + select(0.0, 32.0, x != 0.5);
}
