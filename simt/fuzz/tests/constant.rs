//! Every form of constant expression: what naga makes of it when it reads the text against what the
//! engines make of the same expression when its operands come from buffers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use wharf_simt::{Layout, Module, Scalar};
use wharf_simt_fuzz::{ENGINES, run};

/// What a form makes of operands of type T.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Gives {
    Same,
    Bool,
    /// One component.
    One,
    Of(Scalar),
}

/// An expression over `{a}`, `{b}`, `{c}`: whose scalars, in vectors too or only there, and how many units
/// in the last place both may lie apart.
struct Form(&'static str, &'static [Scalar], Width, Gives, f64);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Width {
    Scalar,
    Any,
    Vector,
}

use Gives::{Bool, Of, One, Same};
use Width::{Any, Vector};

const SIGNED: &[Scalar] = &[Scalar::I32, Scalar::I64, Scalar::F32, Scalar::F16, Scalar::F64];
const NUMBERS: &[Scalar] = &[
    Scalar::I32,
    Scalar::U32,
    Scalar::I64,
    Scalar::U64,
    Scalar::F32,
    Scalar::F16,
    Scalar::F64,
    Scalar::I16,
    Scalar::U16,
];
const INTEGERS: &[Scalar] = &[Scalar::I32, Scalar::U32, Scalar::I64, Scalar::U64];
const WORDS: &[Scalar] = &[Scalar::I32, Scalar::U32];
const FLOATS: &[Scalar] = &[Scalar::F32, Scalar::F16];
const ALL: &[Scalar] =
    &[Scalar::I32, Scalar::U32, Scalar::I64, Scalar::U64, Scalar::F32, Scalar::F16, Scalar::F64, Scalar::Bool];
const LOGICAL: &[Scalar] = &[Scalar::Bool];
const F32: &[Scalar] = &[Scalar::F32];
const U32: &[Scalar] = &[Scalar::U32];

const FORMS: &[Form] = &[
    Form("{a} + {b}", NUMBERS, Any, Same, 0.0),
    Form("{a} - {b}", NUMBERS, Any, Same, 0.0),
    Form("{a} * {b}", NUMBERS, Any, Same, 0.0),
    Form("{a} / {b}", NUMBERS, Any, Same, 2.5),
    Form("{a} % {b}", NUMBERS, Any, Same, 0.0),
    Form("{a} & {b}", INTEGERS, Any, Same, 0.0),
    Form("{a} | {b}", INTEGERS, Any, Same, 0.0),
    Form("{a} ^ {b}", INTEGERS, Any, Same, 0.0),
    Form("{a} << 3u", INTEGERS, Width::Scalar, Same, 0.0),
    Form("{a} >> 3u", INTEGERS, Width::Scalar, Same, 0.0),
    Form("{a} << {b}", U32, Any, Same, 0.0),
    Form("{a} >> {b}", U32, Any, Same, 0.0),
    Form("-({a})", SIGNED, Any, Same, 0.0),
    Form("~({a})", INTEGERS, Any, Same, 0.0),
    Form("!({a})", LOGICAL, Any, Bool, 0.0),
    Form("{a} & {b}", LOGICAL, Any, Bool, 0.0),
    Form("{a} | {b}", LOGICAL, Any, Bool, 0.0),
    Form("{a} && {b}", LOGICAL, Width::Scalar, Bool, 0.0),
    Form("{a} || {b}", LOGICAL, Width::Scalar, Bool, 0.0),
    Form("all({a})", LOGICAL, Any, One, 0.0),
    Form("any({a})", LOGICAL, Any, One, 0.0),
    Form("{a} == {b}", ALL, Any, Bool, 0.0),
    Form("{a} != {b}", ALL, Any, Bool, 0.0),
    Form("{a} < {b}", NUMBERS, Any, Bool, 0.0),
    Form("{a} <= {b}", NUMBERS, Any, Bool, 0.0),
    Form("{a} > {b}", NUMBERS, Any, Bool, 0.0),
    Form("{a} >= {b}", NUMBERS, Any, Bool, 0.0),
    Form("select({a}, {b}, true)", ALL, Any, Same, 0.0),
    Form("select({a}, {b}, false)", ALL, Any, Same, 0.0),
    Form("({a}).zxy", ALL, Vector, Same, 0.0),
    Form("({a})[1]", ALL, Vector, One, 0.0),
    Form("array({a}, {b}, {a})[1]", ALL, Any, Same, 0.0),
    Form("Pair({a}, {b}).second", F32, Width::Scalar, Same, 0.0),
    Form("mat2x2({a}, {b}, {b}, {a})[1].x", F32, Width::Scalar, Same, 0.0),
    Form("(mat2x2({a}, {b}, {b}, {a}) * vec2({a}, {b})).y", F32, Width::Scalar, Same, 2.0),
    Form("i32({a})", ALL, Width::Scalar, Of(Scalar::I32), 0.0),
    Form("u32({a})", ALL, Width::Scalar, Of(Scalar::U32), 0.0),
    Form("f32({a})", ALL, Width::Scalar, Of(Scalar::F32), 0.0),
    Form("f16({a})", ALL, Width::Scalar, Of(Scalar::F16), 0.0),
    Form("i64({a})", ALL, Width::Scalar, Of(Scalar::I64), 0.0),
    Form("u64({a})", ALL, Width::Scalar, Of(Scalar::U64), 0.0),
    Form("f64({a})", ALL, Width::Scalar, Of(Scalar::F64), 0.0),
    Form("bool({a})", ALL, Width::Scalar, Of(Scalar::Bool), 0.0),
    Form("bitcast<u32>({a})", &[Scalar::I32, Scalar::F32], Width::Scalar, Of(Scalar::U32), 0.0),
    Form("bitcast<f32>({a})", &[Scalar::I32, Scalar::U32], Width::Scalar, Of(Scalar::F32), 0.0),
    Form("abs({a})", NUMBERS, Any, Same, 0.0),
    Form("min({a}, {b})", NUMBERS, Any, Same, 0.0),
    Form("max({a}, {b})", NUMBERS, Any, Same, 0.0),
    Form("clamp({a}, min({b}, {c}), max({b}, {c}))", NUMBERS, Any, Same, 0.0),
    Form("sign({a})", SIGNED, Any, Same, 0.0),
    Form("countOneBits({a})", WORDS, Any, Same, 0.0),
    Form("countLeadingZeros({a})", WORDS, Any, Same, 0.0),
    Form("countTrailingZeros({a})", WORDS, Any, Same, 0.0),
    Form("reverseBits({a})", WORDS, Any, Same, 0.0),
    Form("firstLeadingBit({a})", WORDS, Any, Same, 0.0),
    Form("firstTrailingBit({a})", WORDS, Any, Same, 0.0),
    Form("extractBits({a}, 3u, 9u)", WORDS, Any, Same, 0.0),
    Form("insertBits({a}, {b}, 3u, 9u)", WORDS, Any, Same, 0.0),
    Form("dot4U8Packed({a}, {b})", U32, Width::Scalar, Same, 0.0),
    Form("dot4I8Packed({a}, {b})", U32, Width::Scalar, Of(Scalar::I32), 0.0),
    Form("dot({a}, {b})", &[Scalar::I32, Scalar::U32, Scalar::F32, Scalar::F16], Vector, One, 3.0),
    Form("cross({a}, {b})", FLOATS, Vector, Same, 0.0),
    Form("length({a})", FLOATS, Any, One, 6.0),
    Form("distance({a}, {b})", FLOATS, Any, One, 6.0),
    Form("normalize({a})", FLOATS, Vector, Same, 8.0),
    Form("saturate({a})", FLOATS, Any, Same, 0.0),
    Form("ceil({a})", FLOATS, Any, Same, 0.0),
    Form("floor({a})", FLOATS, Any, Same, 0.0),
    Form("round({a})", FLOATS, Any, Same, 0.0),
    Form("trunc({a})", FLOATS, Any, Same, 0.0),
    Form("fract({a})", FLOATS, Any, Same, 0.0),
    Form("step({a}, {b})", FLOATS, Any, Same, 0.0),
    Form("fma({a}, {b}, {c})", FLOATS, Any, Same, 2.0),
    Form("sqrt({a})", FLOATS, Any, Same, 4.5),
    Form("inverseSqrt({a})", FLOATS, Any, Same, 4.0),
    Form("radians({a})", FLOATS, Any, Same, 3.0),
    Form("degrees({a})", FLOATS, Any, Same, 3.0),
    Form("exp({a})", FLOATS, Any, Same, 6.0),
    Form("exp2({a})", FLOATS, Any, Same, 6.0),
    Form("log({a})", FLOATS, Any, Same, 6.0),
    Form("log2({a})", FLOATS, Any, Same, 6.0),
    Form("pow({a}, {b})", FLOATS, Any, Same, 16.0),
    Form("sin({a})", FLOATS, Any, Same, 8.0),
    Form("cos({a})", FLOATS, Any, Same, 8.0),
    Form("tan({a})", FLOATS, Any, Same, 16.0),
    Form("asin({a})", FLOATS, Any, Same, 16.0),
    Form("acos({a})", FLOATS, Any, Same, 16.0),
    Form("atan({a})", FLOATS, Any, Same, 8.0),
    Form("atan2({a}, {b})", FLOATS, Any, Same, 8.0),
    Form("sinh({a})", FLOATS, Any, Same, 16.0),
    Form("cosh({a})", FLOATS, Any, Same, 16.0),
    Form("tanh({a})", FLOATS, Any, Same, 16.0),
    Form("asinh({a})", FLOATS, Any, Same, 16.0),
    Form("acosh(1.0 + abs({a}))", FLOATS, Any, Same, 16.0),
    Form("atanh(({a}) * 0.03125)", FLOATS, Any, Same, 16.0),
    Form("mix({a}, {b}, {c})", FLOATS, Any, Same, 4.0),
    Form("smoothstep({a}, {b}, {c})", FLOATS, Any, Same, 16.0),
    Form("faceForward({a}, {b}, {c})", FLOATS, Vector, Same, 0.0),
    Form("reflect({a}, {b})", FLOATS, Vector, Same, 8.0),
    Form("ldexp({a}, 3i)", FLOATS, Width::Scalar, Same, 0.0),
    Form("frexp({a}).fract", FLOATS, Width::Scalar, Same, 0.0),
    Form("modf({a}).whole", FLOATS, Width::Scalar, Same, 0.0),
    Form("quantizeToF16({a})", F32, Any, Same, 0.0),
    Form("pack2x16float(vec2({a}, {b}))", F32, Width::Scalar, Of(Scalar::U32), 0.0),
    Form("unpack4xI8({a}).y", U32, Width::Scalar, Of(Scalar::I32), 0.0),
];

/// Forms that naga 30 rejects where they are constant, for all types or the one named: its evaluator has
/// no such function, or has it for fewer types. They run only with operands from elsewhere, and are
/// compared with Rust's arithmetic in simt's own tests.
const NOT_EVALUATED: &[&str] = &[
    "abs({a}), f64",
    "abs({a}), i16",
    "abs({a}), u16",
    "bitcast<f32>({a})",
    "bitcast<u32>({a})",
    "bool({a}), f64",
    "bool({a}), i64",
    "bool({a}), u64",
    "clamp({a}, min({b}, {c}), max({b}, {c})), f64",
    "clamp({a}, min({b}, {c}), max({b}, {c})), i16",
    "clamp({a}, min({b}, {c}), max({b}, {c})), u16",
    "extractBits",
    "f32({a}), f64",
    "f32({a}), i64",
    "f32({a}), u64",
    "f64({a}), i64",
    "f64({a}), u64",
    "faceForward",
    "frexp",
    "i32({a}), f64",
    "i32({a}), i64",
    "i32({a}), u64",
    "insertBits",
    "ldexp",
    "max({a}, {b}), f64",
    "max({a}, {b}), i16",
    "max({a}, {b}), u16",
    "min({a}, {b}), f64",
    "min({a}, {b}), i16",
    "min({a}, {b}), u16",
    "mix",
    "modf",
    "pack2x16float",
    "quantizeToF16",
    "reflect",
    "sign({a}), f64",
    "sign({a}), i64",
    "smoothstep",
    "u32({a}), f64",
    "u32({a}), i64",
    "u32({a}), u64",
    "unpack4xI8",
    "{a} % {b}, f64",
    "{a} % {b}, i64",
    "{a} % {b}, u64",
    "{a} & {b}, i64",
    "{a} & {b}, u64",
    "{a} * {b}, f64",
    "{a} * {b}, i64",
    "{a} * {b}, u64",
    "{a} + {b}, f64",
    "{a} + {b}, i64",
    "{a} + {b}, u64",
    "{a} - {b}, f64",
    "{a} - {b}, i64",
    "{a} - {b}, u64",
    "{a} / {b}, f64",
    "{a} / {b}, i64",
    "{a} / {b}, u64",
    "{a} << 3u, i64",
    "{a} << 3u, u64",
    "{a} >> 3u, i64",
    "{a} >> 3u, u64",
    "{a} ^ {b}, i64",
    "{a} ^ {b}, u64",
    "{a} | {b}, i64",
    "{a} | {b}, u64",
];

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
                    for (scalar, a, b) in pairs(layout, &ran[3]) {
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
