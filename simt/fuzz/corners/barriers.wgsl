// Barriers under conditions that only the run shows to be uniform, and what lives across them.
var<workgroup> w: array<u32, 40>;
@group(0) @binding(2) var<storage, read_write> k: array<u32>;
fn spread(i: u32, by: u32) -> u32 {
    w[i] = i * by;
    workgroupBarrier();
    let r = w[(i + 1u) % 40u];
    workgroupBarrier();
    return r;
}

@compute @workgroup_size(40)
fn main(@builtin(local_invocation_index) i: u32) {
    if i < 4u { k[i] = src[i]; }
    storageBarrier();
    var s = 0u;
    var hist: array<u32, 3>;
    for (var j = 0u; j < k[3]; j++) {
        if j == k[1] { s += 100000u; continue; }
        var t = spread(i, j);
        hist[j % 3u] += t;
        loop {
            t += 1u;
            if k[2] + t % 1u < 1u { break; }
            workgroupBarrier();
            s += 1u;
            if t > 0u { break; }
            continuing { workgroupBarrier(); }
        }
        switch k[j] {
            case 2u: { workgroupBarrier(); s += t; }
            case 0u, 4u: { s += spread(i, 2u); }
            default: {
                if k[0] == 0u { workgroupBarrier(); break; }
                s = 77u;
            }
        }
    }
    let nx = (i + 1u) % 40u;
    var want = 100000u;
    var h = 0u;
    for (var j = 0u; j < 3u; j++) {
        if j == 1u { continue; }
        let t = nx * j + 1u;
        want += 1u;
        if j == 0u { want += nx * 2u; }
        if j == 2u { want += t; }
        h += nx * j;
    }
    eq(i, s, want);
    eq(40u + i, hist[0] + hist[1] + hist[2], h);
    if k[3] == 3u {
        w[i] = i;
        workgroupBarrier();
        eq(80u + i, w[39u - i], 39u - i);
    }
    if k[0] == 5u { return; }
    workgroupBarrier();
    var acc = 0u;
    for (var a = 0u; a < 2u; a++) {
        for (var b = 0u; b < 4u; b++) {
            if b == 2u { break; }
            workgroupBarrier();
            w[i] = a * 10u + b;
            workgroupBarrier();
            acc = acc * 3u + w[nx];
            if a == 1u && b == 1u { break; }
        }
        if acc > 1000000u { break; }
        storageBarrier();
    }
    eq(120u + i, acc, ((0u * 3u + 1u) * 3u + 10u) * 3u + 11u);
    workgroupBarrier();
    if i < 20u {
        var v = i;
        while v < 100u {
            v += i + 1u;
            if v % 7u == 3u { break; }
        }
        w[i] = v;
    } else { w[i] = 0u; }
    workgroupBarrier();
    var v2 = nx;
    if nx < 20u {
        loop {
            if v2 >= 100u { break; }
            v2 += nx + 1u;
            if v2 % 7u == 3u { break; }
        }
    } else { v2 = 0u; }
    eq(160u + i, w[nx], v2);
}
