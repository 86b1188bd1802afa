//! What is claimed of a kernel, on small kernels and against what happens when others run.

mod witness;

use std::path::Path;

use super::{Bounds, Facts, Level, Shape};
use crate::error::Error;
use crate::ir::{Kernel, Len, Node, Op};
use crate::lower;
use crate::reflect::{Module, Slot};
use witness::witness;

struct Subject {
    kernel: Kernel,
    slots: Vec<Slot>,
    facts: Facts,
}

fn subject(wgsl: &str, entry: &str) -> Result<Subject, Error> {
    let module = Module::new(wgsl)?;
    let slots = module.entry(entry)?.bindings.clone();
    let (resolved, info) = module.resolve(entry, &[])?;
    let kernel = lower::kernel(&resolved, &info, &slots, wgsl)?;
    let facts = Facts::of(&kernel, &slots);
    Ok(Subject { kernel, slots, facts })
}

fn nodes<'k>(body: &'k [Node], visit: &mut impl FnMut(&'k Node)) {
    for node in body {
        visit(node);
        match node {
            Node::If { accept, reject, .. } => {
                nodes(accept, visit);
                nodes(reject, visit);
            }
            Node::Scope { body, .. } | Node::Loop { body, .. } => nodes(body, visit),
            _ => {}
        }
    }
}

#[test]
fn what_is_claimed_holds_when_kernels_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = 0;
    for folder in ["tests/corpus", "../shaders"] {
        for file in std::fs::read_dir(root.join(folder)).expect("a folder of shaders") {
            let path = file.expect("a file").path();
            if path.extension().is_none_or(|extension| extension != "wgsl") {
                continue;
            }
            let wgsl = std::fs::read_to_string(&path).expect("a shader");
            let module = Module::new(&wgsl).expect("valid");
            for entry in module.entries() {
                // An override without a value is the only thing that keeps one from compiling.
                let Ok(subject) = subject(&wgsl, &entry.name) else { continue };
                eprintln!("{} {}", path.display(), entry.name);
                for (words, most) in [(4096, 40), (64, 9), (300, u32::MAX)] {
                    witness(&subject, words, most, [2, 2, 1]);
                }
                files += 1;
            }
        }
    }
    assert!(files > 20, "only {files} entry points");
}

fn main(declarations: &str, size: &str, body: &str) -> Subject {
    let wgsl = format!(
        "{declarations}
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read_write> b: array<u32>;
@group(0) @binding(2) var<uniform> n: vec4<u32>;
var<workgroup> tile: array<u32, 256>;
@compute @workgroup_size({size})
fn main(@builtin(local_invocation_id) l: vec3<u32>, @builtin(local_invocation_index) i: u32, @builtin(global_invocation_id) id: vec3<u32>) {{
    if n.x + a[0] == 12345678u {{ b[0] = tile[0]; }} // everything is in use
    {body}
}}"
    );
    let subject = subject(&wgsl, "main").unwrap_or_else(|error| panic!("{error}"));
    witness(&subject, 1000, 300, [2, 1, 1]);
    subject
}

/// Of the indices into `tile` after the first.
fn bounds(size: &str, body: &str) -> Vec<Bounds> {
    let Subject { kernel, facts, .. } = main("", size, body);
    let mut found = Vec::new();
    nodes(&kernel.body, &mut |node| {
        if let Node::Inst(inst) = node
            && let Op::Index { dst, len: Len::Fixed(256), .. } = inst.op
        {
            found.push(facts.bounds(dst));
        }
    });
    found
}

/// Of the last index of the body: the shape of what it indexes with.
fn shape(size: &str, body: &str) -> Shape {
    let Subject { kernel, facts, .. } = main("", size, body);
    let mut found = None;
    nodes(&kernel.body, &mut |node| {
        if let Node::Inst(inst) = node
            && let Op::Index { index, .. } = inst.op
        {
            found = Some(facts.shape(index));
        }
    });
    found.expect("an index")
}

#[test]
fn indices_that_cannot_leave_their_array_are_known() {
    use Bounds::{Active, Always, Unknown};
    for (size, body, expected) in [
        ("256", "tile[i] = 1u;", Always),
        ("16, 16", "for (var k = 0u; k < 16u; k++) { tile[k * 16u + l.x] = 1u; }", Always),
        ("16, 16", "for (var k = 0; k < 16; k++) { tile[k * 16 + i32(l.x)] = 1u; }", Always),
        ("64", "tile[id.x & 255u] = 1u;", Always),
        ("64", "tile[id.x % 256u] = 1u;", Always),
        ("64", "tile[min(id.x, 255u)] = 1u;", Always),
        ("64", "tile[clamp(i32(id.x), 0, 255)] = 1u;", Always),
        ("64", "tile[id.x >> 24u] = 1u;", Always),
        ("256", "for (var h = 128u; h > 0u; h /= 2u) { if i < h { tile[i + h] = 1u; } }", Active),
        ("64", "if id.x < 256u { tile[id.x] = 1u; }", Active),
        ("64", "if id.x >= 256u { return; } tile[id.x] = 1u;", Active),
        ("64", "if n.x < 256u { tile[n.x] = 1u; }", Unknown),
        ("64", "let m = n.x; if m < 256u { tile[m] = 1u; }", Always),
        ("64", "if id.x < 256u && id.y == 0u { tile[id.x] = 1u; }", Active),
        ("64", "if !(id.x >= 256u || id.y == 0u) { tile[id.x] = 1u; }", Active),
        ("64", "if id.x < 256u || id.y == 0u { tile[id.x] = 1u; }", Unknown),
        // What wraps is not believed.
        ("64", "tile[i - 1u] = 1u;", Unknown),
        ("64", "if id.x < 256u { tile[id.x + 1u] = 1u; }", Unknown),
        ("64", "if id.x + 1u < 256u { tile[id.x] = 1u; }", Unknown),
        ("64", "if i32(id.x) < 256 { tile[id.x] = 1u; }", Unknown),
        ("64", "tile[i * 67108864u] = 1u;", Unknown),
        ("64", "tile[i32(id.x) % 256] = 1u;", Unknown),
        ("64", "tile[abs(i32(id.x)) % 256] = 1u;", Unknown),
        ("256", "tile[i + 1u] = 1u;", Unknown),
        // The guard is about what the variable was.
        ("64", "var k = id.x; if k < 256u { k = n.x; tile[k] = 1u; }", Unknown),
        ("64", "var k = id.x; let small = k < 256u; k += 1u; if small { tile[k] = 1u; }", Unknown),
        (
            "64",
            "var k = 0u; loop { let old = k; k = k ^ 256u; if old == 0u { tile[k] = 1u; } if b[0] > k { break; } }",
            Unknown,
        ),
        ("64", "var k = 0u; loop { k += 1u; if k > n.x { break; } } tile[k] = 1u;", Unknown),
        ("64", "var k = 0u; if id.x < 256u { k = id.x; } tile[k] = 1u;", Active),
        ("64", "var ok = false; var k = id.x; if k < 256u { ok = true; } k = n.x; if ok { tile[k] = 1u; }", Unknown),
        ("64", "var k = 9u; for (var j = 0u; j < n.x; j++) { k += 256u; } tile[k] = 1u;", Unknown),
        ("64", "for (var j = n.x; j < 256u; j++) { tile[j] = 1u; }", Always),
        ("64", "for (var j = id.x; j < 256u; j += 64u) { tile[j] = 1u; }", Active),
    ] {
        let found = bounds(size, body);
        assert_eq!(found.last(), Some(&expected), "{body}");
    }
}

#[test]
fn lengths_guard_as_numbers_do() {
    let guarded = |body: &str| {
        let Subject { kernel, facts, .. } = main("", "64", body);
        let mut found = None;
        nodes(&kernel.body, &mut |node| {
            if let Node::Inst(inst) = node
                && let Op::Index { dst, len: Len::Runtime(_), .. } = inst.op
            {
                found = Some(facts.bounds(dst));
            }
        });
        found.expect("an index")
    };
    for (body, expected) in [
        ("if id.x < arrayLength(&b) { b[id.x] = 1u; }", Bounds::Active),
        ("let m = min(n.x, min(arrayLength(&a), arrayLength(&b))); if id.x < m { b[id.x] = a[id.x]; }", Bounds::Active),
        ("if id.x >= min(arrayLength(&b), 77u) { return; } b[id.x] = 1u;", Bounds::Active),
        ("for (var j = i; j < arrayLength(&b) / 2u; j += 64u) { b[j] = 1u; }", Bounds::Active),
        ("let m = n.x; if m < arrayLength(&b) { b[m] = 1u; }", Bounds::Always),
        ("if id.x < arrayLength(&a) { b[id.x] = 1u; }", Bounds::Unknown),
        ("if id.x <= arrayLength(&b) { b[id.x] = 1u; }", Bounds::Unknown),
        ("if id.x < arrayLength(&b) { b[id.x + 1u] = 1u; }", Bounds::Unknown),
        ("if i32(id.x) < i32(arrayLength(&b)) { b[id.x] = 1u; }", Bounds::Unknown),
    ] {
        assert_eq!(guarded(body), expected, "{body}");
    }
}

#[test]
fn shapes_are_what_the_source_says() {
    let along = |x, y| Shape::Affine([x, y, 0]);
    for (size, body, expected) in [
        ("64", "b[n.x] = 1u;", Shape::UNIFORM),
        ("64", "b[i] = 1u;", along(1, 0)),
        ("16, 16", "b[i] = 1u;", along(1, 16)),
        ("16, 16", "b[id.y * 4u + l.x * 3u - n.x] = 1u;", along(3, 4)),
        ("16, 16", "b[id.y * n.x + id.x] = 1u;", Shape::Row(1)),
        ("16, 16", "b[a[l.y]] = 1u;", Shape::Row(0)),
        ("16, 16", "b[a[l.x]] = 1u;", Shape::Varying),
        ("64", "b[b[0]] = 1u;", Shape::Row(0)),
        ("64", "b[i * i] = 1u;", Shape::Varying),
        ("64", "b[i << 2u] = 1u;", along(4, 0)),
        ("64", "b[i & 63u] = 1u;", Shape::Varying),
        // Variables.
        ("64", "for (var k = 0u; k < n.x; k++) { b[k] = 1u; }", Shape::UNIFORM),
        ("64", "for (var k = i; k < n.x; k += 64u) { b[k] = 1u; }", along(1, 0)),
        ("64", "var k = 0u; if n.x > 3u { k = 5u; } b[k] = 1u;", Shape::UNIFORM),
        ("64", "var k = 0u; if i > 3u { k = 5u; } b[k] = 1u;", Shape::Varying),
        ("16, 4", "var k = 0u; if l.y > 3u { k = 5u; } b[k] = 1u;", Shape::Row(0)),
        ("64", "var k = 0u; loop { if k > i { break; } k++; } b[k] = 1u;", Shape::Varying),
        // Whoever reads it was there when it was assigned.
        ("64", "if i > 3u { for (var k = 0u; k < 5u; k++) { b[k] = 1u; } }", Shape::UNIFORM),
        ("64", "if id.x > n.x { return; } for (var k = 0u; k < 5u; k++) { b[k] = 1u; }", Shape::UNIFORM),
        ("64", "for (var k = 0u; ; k++) { if a[i] < k { break; } b[k] = 1u; }", Shape::UNIFORM),
        // But not here.
        ("64", "var k = 0u; for (var j = 0u; j < 9u; j++) { if (i & j) == 0u { k++; b[k] = 1u; } }", Shape::Varying),
        (
            "64",
            "var k = 0u; for (var j = 0u; j < 9u; j++) { if a[j] > i { continue; } k++; b[k] = 1u; }",
            Shape::Varying,
        ),
        ("64", "for (var j = 0u; j < 9u; j++) { var k = 7u; if a[i] > j { k = 5u; } b[k] = 1u; }", Shape::Varying),
        (
            "64",
            "var k = 0u; for (var j = 0u; j < 9u; j++) { for (;;) { if a[i] < k { break; } k++; b[k] = 1u; } }",
            Shape::Varying,
        ),
    ] {
        assert_eq!(shape(size, body), expected, "{body}");
    }
}

#[test]
fn loops_and_exits_know_who_leaves_together() {
    let levels = |body: &str| {
        let facts = main("", "16, 4", body).facts;
        (
            (0..facts.loops.len()).map(|number| facts.loop_level(number)).collect::<Vec<_>>(),
            facts.exits.iter().copied().max(),
        )
    };
    for (body, level) in [
        ("for (var k = 0u; k < n.x; k++) { b[k] = 1u; }", Level::Uniform),
        ("for (var k = l.y; k < n.x; k++) { b[k] = 1u; }", Level::Row),
        ("for (var k = i; k < n.x; k++) { b[k] = 1u; }", Level::Lane),
    ] {
        assert_eq!(levels(body), (vec![level], Some(level)), "{body}");
    }
    let nested = "for (var k = i; k < 9u; k++) { for (var j = 0u; j < 3u; j++) { b[j] = 1u; } }";
    assert_eq!(levels(nested).0, [Level::Lane, Level::Uniform]);
}

#[test]
fn a_block_of_lanes_knows_its_stride() {
    let size = [16, 4, 1];
    assert_eq!(Shape::Affine([1, 16, 0]).along_block([8, 8, 1], 16), None);
    assert_eq!(Shape::Affine([1, 8, 0]).along_block([8, 8, 1], 16), Some(1));
    assert_eq!(Shape::Affine([0, 5, 0]).along_block([1, 64, 1], 16), Some(5));
    assert_eq!(Shape::Affine([3, 7, 0]).along_block(size, 16), Some(3));
    assert_eq!(Shape::Row(2).along_block(size, 8), Some(2));
    assert_eq!(Shape::Row(2).along_block([8, 8, 1], 16), None);
    assert_eq!(Shape::Varying.along_block(size, 8), None);
}

/// The witness sees what is wrong.
#[test]
fn a_false_claim_is_caught() {
    let caught = |body: &str, lie: &dyn Fn(&mut Facts)| {
        let mut subject = main("", "64", body);
        lie(&mut subject.facts);
        std::panic::catch_unwind(|| witness(&subject, 1000, 300, [2, 1, 1])).is_err()
    };
    assert!(caught("tile[i + 200u] = 1u;", &|facts| facts.bounds.fill(Bounds::Active)));
    assert!(caught("if i < 9u { tile[i + 200u] = 1u; }", &|facts| facts.bounds.fill(Bounds::Always)));
    assert!(!caught("if i < 9u { tile[i + 200u] = 1u; }", &|facts| facts.bounds.fill(Bounds::Active)));
    assert!(caught("b[i * i] = 1u;", &|facts| facts.shapes.fill(Shape::UNIFORM)));
    let late = "var k = 0u; if i == 3u { k = 1u; } b[k] = 1u;";
    assert!(caught(late, &|facts| facts.shapes.iter_mut().for_each(|s| if *s == Shape::Varying {
        *s = Shape::Row(0)
    })));
    assert!(caught("if i == 3u { return; } b[i] = 1u;", &|facts| facts.exits.fill(Level::Uniform)));
    let half = |range: super::Range| super::Range { u: (range.u.0, range.u.1 / 2), ..range };
    assert!(caught("b[i + 1u] = 1u;", &|facts| facts.made.iter_mut().for_each(|known| *known = known.map(half))));
}
