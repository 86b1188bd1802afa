//! Every form of constant expression: what naga makes of it when it reads the text against what the
//! engines make of the same expression when its operands come from buffers.

mod forms;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forms::Gives::{Bool, Of, One, Same};
use forms::{FORMS, Form, NOT_EVALUATED, Width};
use wharf_simt::{Layout, Module, Scalar};
use wharf_simt_fuzz::{ENGINES, run};

/// Operands: what is written, and its bits.
fn values(scalar: Scalar) -> Vec<(String, u64)> {
    let ints = |list: &[i64]| list.iter().map(|&v| (format!("{scalar}({v})"), v as u64)).collect();
    let floats = [0.0, 1.0, -1.0, 0.25, -2.75, 10.5, 0.5, 2.5, -0.375];
    match scalar {
        Scalar::I32 => ints(&[0, 1, -1, 7, -13, 31, i32::MIN.into(), i32::MAX.into(), 100_000]),
        Scalar::U32 => ints(&[0, 1, 7, 31, 0x8000_0000, 0xffff_ffff, 12_345]),
        Scalar::I64 => ints(&[0, 1, -1, 7, -13, i64::MAX, -i64::MAX, 1 << 40]),
        Scalar::U64 => ints(&[0, 1, 7, 31, i64::MAX, 1 << 40]),
        Scalar::I16 => ints(&[0, 1, -1, 7, -13, i16::MIN.into(), i16::MAX.into()]),
        Scalar::U16 => ints(&[0, 1, 7, 31, 0xffff]),
        Scalar::Bool => vec![("false".into(), 0), ("true".into(), 1)],
        _ => floats
            .iter()
            .map(|&v: &f64| {
                let bits = match scalar {
                    Scalar::F64 => v.to_bits(),
                    Scalar::F32 => u64::from((v as f32).to_bits()),
                    _ => u64::from(half(v as f32)),
                };
                (format!("{scalar}({v:?})"), bits)
            })
            .collect(),
    }
}

/// A half float that needs no rounding.
fn half(value: f32) -> u32 {
    let bits = value.to_bits();
    if value == 0.0 { 0 } else { (bits >> 16 & 0x8000) | ((bits >> 23 & 0xff) - 112) << 10 | bits >> 13 & 0x3ff }
}

fn from_half(bits: u64) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let mantissa = (bits & 0x3ff) as f64 / 1024.0;
    match bits >> 10 & 31 {
        0 => sign * mantissa * 2.0_f64.powi(-14),
        31 => f64::NAN,
        e => sign * (1.0 + mantissa) * 2.0_f64.powi(e as i32 - 15),
    }
}

/// How two results of a form compare.
fn close(scalar: Scalar, a: u64, b: u64, ulps: f64) -> bool {
    if a == b {
        return true;
    }
    let (x, y, unit) = match scalar {
        Scalar::F64 => (f64::from_bits(a), f64::from_bits(b), f64::EPSILON),
        Scalar::F32 => (f32::from_bits(a as u32).into(), f32::from_bits(b as u32).into(), f64::from(f32::EPSILON)),
        Scalar::F16 => (from_half(a), from_half(b), 2.0_f64.powi(-10)),
        _ => return false,
    };
    // Near zero WGSL's bounds are absolute for most functions.
    let most = ulps * unit * x.abs().max(y.abs()).max(if ulps > 0.0 { 0.25 } else { 0.0 });
    (x - y).abs() <= most || x == y
}

/// The module that has one form both ways; `{}` of the text with the operands in.
fn module(form: &Form, scalar: Scalar, wide: bool, operands: &[&(String, u64)]) -> (String, Vec<Vec<u32>>) {
    let stored = |scalar: Scalar| if scalar == Scalar::Bool { Scalar::U32 } else { scalar };
    let mut wgsl = String::from("enable f16; enable wgpu_int16;\nstruct Pair { first: f32, second: f32 }\n");
    let mut buffers = Vec::new();
    let (mut constant, mut loaded) = (form.0.to_owned(), form.0.to_owned());
    for (name, i) in ["a", "b", "c"].iter().zip(0..) {
        let at = |k: usize| operands[(i + k) % operands.len()];
        let count = if wide { 3 } else { 1 };
        let mut bytes = Vec::new();
        for k in 0..count {
            bytes.extend_from_slice(&at(k).1.to_le_bytes()[..stored(scalar).bytes() as usize]);
        }
        bytes.resize(32, 0);
        buffers.push(bytes.chunks(4).map(|w| u32::from_le_bytes([w[0], w[1], w[2], w[3]])).collect());
        wgsl += &format!("@group(0) @binding({i}) var<storage, read> in_{name}: array<{}, 3>;\n", stored(scalar));
        let load = |k: usize| match scalar {
            Scalar::Bool => format!("(in_{name}[{k}] != 0u)"),
            _ => format!("in_{name}[{k}]"),
        };
        let join = |part: &dyn Fn(usize) -> String| {
            if wide { format!("vec3<{scalar}>({}, {}, {})", part(0), part(1), part(2)) } else { part(0) }
        };
        constant = constant.replace(&format!("{{{name}}}"), &join(&|k| at(k).0.clone()));
        loaded = loaded.replace(&format!("{{{name}}}"), &join(&load));
    }
    let (result, many) = match form.3 {
        Same => (scalar, wide),
        Bool => (Scalar::Bool, wide),
        One => (scalar, false),
        Of(scalar) => (scalar, false),
    };
    let name = |scalar: Scalar| if many { format!("vec3<{scalar}>") } else { scalar.name().to_owned() };
    let (ty, out) = (name(result), name(stored(result)));
    wgsl += &format!(
        "@group(0) @binding(3) var<storage, read_write> out: array<{out}, 2>;
const constant: {ty} = {constant};
@compute @workgroup_size(1) fn main() {{
    _ = in_a[0]; _ = in_b[0]; _ = in_c[0];
    out[0] = {out}(constant);
    out[1] = {out}({loaded});
}}"
    );
    buffers.push(vec![0; 16]);
    (wgsl, buffers)
}

/// Scalars of the two elements of `out`, by pairs.
fn pairs(layout: &Layout, words: &[u32]) -> Vec<(Scalar, u64, u64)> {
    let leaves = layout.scalars(2);
    let read = |at: u64, scalar: Scalar| {
        let word = |i: u64| u64::from(words[i as usize]);
        match scalar.bytes() {
            2 => word(at / 4) >> (8 * (at & 2)) & 0xffff,
            4 => word(at / 4),
            _ => word(at / 4) | word(at / 4 + 1) << 32,
        }
    };
    let (first, second) = leaves.split_at(leaves.len() / 2);
    first.iter().zip(second).map(|(a, b)| (a.scalar, read(a.offset, a.scalar), read(b.offset, b.scalar))).collect()
}

#[test]
fn constant_expressions_come_out_as_they_do_at_run_time() {
    let mut counts = BTreeMap::<&str, u64>::new();
    let (mut unread, mut differing) = (BTreeSet::new(), BTreeMap::<String, String>::new());
    for form in FORMS {
        let widths: &[bool] = match form.2 {
            Width::Scalar => &[false],
            Width::Any => &[false, true],
            Width::Vector => &[true],
        };
        for (&scalar, &wide) in form.1.iter().flat_map(|scalar| widths.iter().map(move |wide| (scalar, wide))) {
            let name = format!("{}, {scalar}{}", form.0, if wide { " x3" } else { "" });
            let values = values(scalar);
            let mut compared = 0;
            for (i, step) in (0..values.len()).flat_map(|i| [1, 4].map(|step| (i, step))) {
                let operands = [i, i + step, i + 2 * step].map(|at| &values[at % values.len()]);
                let (wgsl, buffers) = module(form, scalar, wide, &operands);
                let module = match Module::new(&wgsl) {
                    Ok(module) => module,
                    Err(error) => {
                        let line = error.to_string();
                        let absent =
                            ["Not implemented", "Cannot apply", "Cannot cast"].iter().any(|m| line.contains(m));
                        *counts
                            .entry(if absent { "not evaluated" } else { "rejected by WGSL's rules" })
                            .or_default() += 1;
                        if absent {
                            unread.insert(name.clone());
                        } else if std::env::var("WHARF_SHOW").is_ok() {
                            println!("{name}: {line}");
                        }
                        continue;
                    }
                };
                compared += 1;
                *counts.entry("compared").or_default() += 1;
                let layout = &module.entry("main").expect("it is there").bindings[3].layout;
                for &engine in ENGINES {
                    let limit = Duration::from_secs(10);
                    let ran = run(&module, "main", &[], engine, [1, 1, 1], &buffers, limit);
                    let ran = ran.unwrap_or_else(|error| panic!("{wgsl}\n{engine:?}: {error}"));
                    assert_eq!(ran.engine, engine, "{wgsl}");
                    for (scalar, a, b) in pairs(layout, &ran.buffers[3]) {
                        if !close(scalar, a, b, form.4) {
                            let values = format!("naga {a:#x}, {engine:?} {b:#x}");
                            let operands: Vec<&str> = operands.iter().map(|o| o.0.as_str()).collect();
                            differing.entry(name.clone()).or_insert(format!("{values} of {operands:?}"));
                        }
                    }
                }
            }
            if compared == 0 && !unread.contains(&name) {
                differing.insert(name, "never accepted".into());
            }
        }
    }
    println!("{counts:?}\nnot evaluated: {unread:#?}");
    assert!(differing.is_empty(), "{differing:#?}");
    let new: Vec<_> = unread.iter().filter(|name| !NOT_EVALUATED.iter().any(|form| name.starts_with(form))).collect();
    let done: Vec<_> = NOT_EVALUATED.iter().filter(|form| !unread.iter().any(|name| name.starts_with(*form))).collect();
    assert!(
        new.is_empty() && done.is_empty(),
        "not evaluated and not listed: {new:#?}; listed and evaluated: {done:?}"
    );
}
