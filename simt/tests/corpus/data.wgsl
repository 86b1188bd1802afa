// Nested data in every address space, pointers and functions.
struct Inner { a: f32, b: vec2<u32> }
struct Outer { n: u32, inner: array<Inner, 3>, v: vec3<f32>, tail: array<Inner> }
struct Params { scale: f32, offset: vec3<i32>, flags: array<vec4<u32>, 2> }

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> data: Outer;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

const table = array<u32, 4>(10u, 20u, 30u, 40u);
var<private> seen: array<u32, 5>;
var<private> started: u32 = 42u;
var<workgroup> shared_inner: array<Inner, 8>;
var<workgroup> flag: bool;

fn bump(p: ptr<function, u32>, by: u32) -> u32 {
    let before = *p;
    *p += by;
    return before;
}
fn set_member(p: ptr<function, Inner>, i: u32) { (*p).b[i % 2u] = i; (*p).a = f32(i); }
fn touch_private(p: ptr<private, array<u32, 5>>, i: u32) { (*p)[i] += 1u; }
fn fill_shared(i: u32) { let p = &shared_inner; (*p)[i].b = vec2(i, i * i); }
fn make(i: u32) -> Inner { return Inner(f32(i) + 0.5, vec2(i, i + 1u)); }
fn sum_list(list: array<u32, 4>, upto: u32) -> u32 {
    var copy = list;
    var sum = 0u;
    for (var i = 0u; i < upto; i++) { sum += copy[i]; copy[i] = 0u; }
    return sum + copy[3] + list[upto % 4u];
}

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_index) i: u32) {
    var n = i;
    let before = bump(&n, 5u);
    var local: array<Inner, 4>;
    set_member(&local[i % 4u], i);
    touch_private(&seen, i % 5u);
    seen[(i + 1u) % 5u] += started;
    fill_shared(i);
    if i == 3u { flag = true; }
    workgroupBarrier();
    let other = shared_inner[7u - i];
    let o = i * 12u;
    out[o + 0u] = n * 100u + before;
    out[o + 1u] = local[i % 4u].b.x * 10u + local[i % 4u].b.y + u32(local[(i + 1u) % 4u].a);
    out[o + 2u] = seen[i % 5u] + seen[(i + 1u) % 5u] * 1000u;
    out[o + 3u] = other.b.x + other.b.y * 100u + u32(flag);
    out[o + 4u] = sum_list(table, i % 4u);
    out[o + 5u] = u32(make(i).a * 2.0) + make(i).b.y * 100u;
    out[o + 6u] = params.flags[i % 2u][i % 4u] + bitcast<u32>(params.offset.y) + u32(params.scale);
    out[o + 7u] = arrayLength(&data.tail) * 100u + arrayLength(&out);
    data.tail[i % 3u].b.y = i % 3u;
    data.inner[i % 3u] = make(i % 3u);
    data.v[i % 3u] = f32(i % 3u) + 0.25;
    let whole = data.inner;
    out[o + 8u] = whole[(i + 1u) % 3u].b.x;
    let p = &data.inner[2];
    out[o + 9u] = (*p).b.y;
    var pair = array<array<u32, 2>, 2>(array(1u, 2u), array(3u, 4u));
    pair[i % 2u] = pair[1u - i % 2u];
    out[o + 10u] = pair[0][0] + pair[0][1] * 10u + pair[1][0] * 100u + pair[1][1] * 1000u;
    let literal = array(5u, 6u, 7u);
    out[o + 11u] = literal[i % 3u];
}
