// Control flow that the invocations of a workgroup do not share.
@group(0) @binding(0) var<storage, read_write> out: array<u32>;

fn collatz(start: u32) -> u32 {
    var n = start;
    var steps = 0u;
    loop {
        if n == 1u { break; }
        if n % 2u == 0u { n = n / 2u; } else { n = 3u * n + 1u; }
        steps++;
    }
    return steps;
}

fn early(n: u32) -> u32 {
    for (var i = 0u; i < 10u; i++) {
        if i == n { return i * 100u; }
        if n > 20u {
            switch n {
                case 21u: { return 1u; }
                default: { break; }
            }
            if n == 23u { return 2u; }
        }
    }
    return 7u;
}

fn clause(n: u32) -> u32 {
    var r = 0u;
    switch n % 8u {
        case 0u: { r = 1u; }
        case 1u, 2u: { r = 2u; if n > 8u { break; } r += 10u; }
        case 3u, default: { r = 3u; }
        case 5u: { r = 5u; }
        case 6u: { r = early(n); }
    }
    return r;
}

fn signed_clause(n: i32) -> i32 {
    switch n {
        case -1: { return 10; }
        case 0, 1: { return 20; }
        default: { return 30; }
    }
}

// continue inside a switch inside a loop, a continuing block, break if, nested loops.
fn mixed(n: u32) -> u32 {
    var sum = 0u;
    var i = 0u;
    loop {
        var inner = 0u;
        switch i % 4u {
            case 1u: { continue; }
            case 2u: { sum += 100u; }
            default: { inner = i; }
        }
        for (var j = 0u; j < n; j++) {
            if j == 5u { break; }
            if (j + i) % 2u == 0u { continue; }
            inner += j;
        }
        sum += inner;
        continuing {
            i++;
            sum += 1u;
            break if i > n;
        }
    }
    while i > 3u { i -= 3u; sum += i; }
    return sum;
}

fn fresh(n: u32) -> u32 {
    var total = 0u;
    for (var i = 0u; i < n; i++) {
        var start: u32;
        var list: array<u32, 3>;
        start += i;
        list[i % 3u] += 1u;
        total += start + list[0] + 10u * list[1];
    }
    return total;
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    out[i * 6u + 0u] = collatz(i + 1u);
    out[i * 6u + 1u] = early(i);
    out[i * 6u + 2u] = clause(i);
    out[i * 6u + 3u] = u32(signed_clause(i32(i) - 2));
    out[i * 6u + 4u] = mixed(i);
    out[i * 6u + 5u] = fresh(i);
}

// Only some come through; those that return early keep their hands off.
@compute @workgroup_size(8)
fn returns(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x % 3u == 0u { return; }
    out[id.x] = 1u;
    if id.x % 2u == 0u { out[id.x] = 2u; return; } else { out[id.x] += 10u; }
    out[id.x] += 100u;
}
