// Divergent `continue`, `continuing`, `break if`, and what a loop declares.
fn a(n: u32) -> u32 {
    var i = 0u;
    var s = 0u;
    loop {
        if i % 3u == n % 3u { continue; }
        s += i;
        if s > 40u { break; }
        continuing {
            let step = 1u + n % 2u;
            i += step;
            s += 1u;
            break if i >= 12u + step;
        }
    }
    return s * 100u + i;
}
fn b(n: u32) -> u32 {
    var s = 0u;
    for (var i = 0u; i < n; i++) {
        for (var j = i; j < 6u; j += 2u) {
            if j == n { continue; }
            if i * j > 10u { break; }
            var k = 0u;
            while true {
                k++;
                if k > j { break; }
                if (k ^ n) % 2u == 0u { continue; }
                s += k;
            }
            s += 7u;
        }
        if i == 4u { return s + 10000u; }
    }
    return s;
}
fn c(n: u32) -> u32 {
    var i = 0u;
    for (;;) {
        i++;
        if i > n * 2u { break; }
    }
    var j = n;
    while j != 0u && i / j < 3u { j--; }
    return i * 100u + j;
}
fn d(n: u32) -> vec2<u32> {
    var last = 0u;
    var cnt = 0u;
    loop {
        var fresh = 0u;
        var arr: array<u32, 2>;
        fresh += cnt;
        arr[cnt % 2u] = fresh;
        last += arr[0] * 3u + arr[1];
        cnt++;
        if cnt > n { break; }
    }
    return vec2(last, cnt);
}

@compute @workgroup_size(24)
fn main(@builtin(local_invocation_index) i: u32) {
    let n = src[i];
    // a
    var x = 0u;
    var s = 0u;
    let step = 1u + n % 2u;
    var go = true;
    while go {
        var cont = false;
        if x % 3u == n % 3u { cont = true; } else {
            s += x;
            if s > 40u { go = false; }
        }
        if go {
            x += step;
            s += 1u;
            if x >= 12u + step { go = false; }
        }
    }
    eq(i, a(n), s * 100u + x);
    var t = 0u;
    var done = false;
    for (var p = 0u; p < n && !done; p++) {
        var stop = false;
        for (var q = p; q < 6u && !stop; q += 2u) {
            if q != n {
                if p * q > 10u { stop = true; } else {
                    for (var k = 1u; k <= q; k++) {
                        if (k ^ n) % 2u != 0u { t += k; }
                    }
                    t += 7u;
                }
            }
        }
        if p == 4u { t += 10000u; done = true; }
    }
    eq(24u + i, b(n), t);
    var j = n;
    let ii = n * 2u + 1u;
    loop {
        if j == 0u { break; }
        if ii / j >= 3u { break; }
        j--;
    }
    eq(48u + i, c(n), ii * 100u + j);
    let dd = d(n);
    var l = 0u;
    for (var k = 0u; k <= n; k++) { l += select(k, k * 3u, k % 2u == 0u); }
    eq(72u + i, dd.x, l);
    eq(96u + i, dd.y, n + 1u);
}
