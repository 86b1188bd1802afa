// Several selectors, `default` in the middle, `break` and `continue` within clauses, nested.
fn f(n: u32) -> u32 {
    switch n {
        case 3u, 1u: { return 10u; }
        default: { return 20u; }
        case 7u: { return 30u; }
    }
}
fn g(n: i32) -> i32 {
    var r = 0;
    switch n {
        case -5, 4, default: { r = 1; }
        case 2: { r = 2; break; }
        case 9, 10, 11: {
            if n == 10 { break; }
            r = n;
        }
    }
    return r;
}
fn h(n: u32) -> u32 {
    var r = 0u;
    for (var i = 0u; i < 6u; i++) {
        switch (n + i) % 5u {
            case 0u: { continue; }
            case 1u: { r += 1u; }
            default: {
                r += 10u;
                if i == 4u { continue; }
                switch i {
                    case 2u: { break; }
                    case 3u: { r += 1000u; continue; }
                    default: { r += 100u; }
                }
            }
            case 3u: { r += 10000u; }
        }
        r += 100000u;
    }
    return r;
}
fn only(n: u32) -> u32 {
    var r = n;
    switch n {
        default: {
            r += 1u;
            if n > 2u { break; }
            r += 10u;
        }
    }
    return r;
}
const K = 4u;
fn konst(n: u32) -> u32 {
    switch n {
        case K: { return 1u; }
        case K + 1u, 9u: { return 2u; }
        default: {}
    }
    return 3u;
}
fn nested_ret(n: u32) -> u32 {
    loop {
        switch n {
            case 0u: { return 5u; }
            case 1u: { break; }
            default: {
                loop {
                    switch n {
                        case 2u: { return 6u; }
                        default: { break; }
                    }
                    break;
                }
            }
        }
        break;
    }
    return 7u;
}

@compute @workgroup_size(16)
fn main(@builtin(local_invocation_index) i: u32) {
    let s = src[i];
    eq(i, f(s), select(select(20u, 10u, s==1u||s==3u), 30u, s==7u));
    let n = i32(s) - 5;
    var w = 1;
    if n == 2 { w = 2; }
    if n == 9 || n == 11 { w = n; }
    if n == 10 { w = 0; }
    eq(16u + i, u32(g(n)), u32(w));
    // h by hand, scalar arithmetic
    var r = 0u;
    for (var k = 0u; k < 6u; k++) {
        let c = (s + k) % 5u;
        if c == 0u { continue; }
        if c == 1u { r += 1u; } else if c == 3u { r += 10000u; } else {
            r += 10u;
            if k == 4u { continue; }
            if k == 3u { r += 1000u; continue; }
            if k != 2u { r += 100u; }
        }
        r += 100000u;
    }
    eq(32u + i, h(s), r);
    eq(48u + i, only(s), select(s + 11u, s + 1u, s > 2u));
    eq(64u + i, konst(s), select(select(3u, 2u, s == 5u || s == 9u), 1u, s == 4u));
    eq(80u + i, nested_ret(s), select(select(7u, 6u, s == 2u), 5u, s == 0u));
}
