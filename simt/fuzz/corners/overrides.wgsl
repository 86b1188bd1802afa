enable f16;
// Overrides of every type, what is computed from them, and arrays that they size.
override flag: bool = true;
@id(7) override signed: i32 = -3;
override count: u32 = 5u;
override scale: f32;
@id(9) override small: f16 = 1.5h;
override odd = 2u * count + 1u;
override turned = -signed + 2;
override sum = scale * 2.0 + f32(count);
override both = flag && (count > 4u);
override chosen = select(1.0, scale, both);
override side: u32 = 2;
@id(11) override idle: u32 = 77u;
var<workgroup> line: array<u32, odd>;
var<workgroup> plane: array<array<u32, 2>, odd * 2u>;
var<private> started: f32 = sum;
var<private> pair = array<u32, 2>(odd, count);
const WIDTH = 3;

fn check(i: u32, f: bool, s: i32, c: u32, x: f32, h: f32) {
    line[i] = i;
    plane[odd + i][1] = i + 1u;
    workgroupBarrier();
    if i != 0u { return; }
    eq(0, u32(flag), u32(f));
    eq(1, bitcast<u32>(signed), bitcast<u32>(s));
    eq(2, count, c);
    ef(3, scale, x);
    ef(4, f32(small), h);
    eq(5, odd, 2u * c + 1u);
    eq(6, bitcast<u32>(turned), bitcast<u32>(2 - s));
    ef(7, sum, x * 2.0 + f32(c));
    eq(8, u32(both), u32(f && c > 4u));
    ef(9, chosen, select(1.0, x, f && c > 4u));
    ef(10, started, x * 2.0 + f32(c));
    eq(11, pair[src[1]], c);
    eq(12, line[3], 3u);
    eq(13, plane[odd + 4u][1], 5u);
    var total = 0u;
    for (var k = 0u; k < min(odd, 6u); k++) { total += line[k]; }
    eq(14, total, 15u);
    eq(15, arrayLength(&src) * u32(WIDTH), 192u);
    var took = 0u;
    if flag { took = 1u; }
    eq(16, took, u32(f));
    switch count {
        case 5u: { eq(17, 5u, c); }
        default: { eq(17, 3u, c); }
    }
}

@compute @workgroup_size(WIDTH, side)
fn defaults(@builtin(local_invocation_index) i: u32) { check(i, true, -3, 5u, 0.25, 1.5); }

@compute @workgroup_size(WIDTH, side)
fn changed(@builtin(local_invocation_index) i: u32) { check(i, false, -40, 3u, -2.5, 0.25); }
