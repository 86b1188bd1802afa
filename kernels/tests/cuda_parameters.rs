//! The CUDA twins take what their WGSL declares: the PTX's parameters and workgroup size, and the
//! names and access in the `.cu`, are compared with the reflected WGSL.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use wharf_simt::{Access, Entry, Module, Scalar};

/// One parameter: PTX type, then how the `.cu` declares it.
type Parameter = (&'static str, String);

/// The parameter list that the binary interface prescribes: pointers in binding order, their lengths,
/// then the scalars of the uniform block.
fn prescribed(entry: &Entry) -> Vec<Parameter> {
    let storage = || entry.bindings.iter().filter(|slot| slot.access != Access::Uniform);
    let pointers = storage().map(|slot| {
        let element = slot.layout.scalars(1)[0].scalar;
        let access = if slot.access == Access::Read { "const " } else { "" };
        (".u64", format!("{access}{}* {}", types(element).1, slot.name))
    });
    let lengths = storage().map(|slot| (".u32", format!("u32 {}_len", slot.name)));
    let uniform = entry.bindings.iter().filter(|slot| slot.access == Access::Uniform);
    let scalars = uniform.flat_map(|slot| slot.layout.scalars(0)).map(|leaf| {
        let (ptx, cuda) = types(leaf.scalar);
        (ptx, format!("{cuda} {}", leaf.path))
    });
    pointers.chain(lengths).chain(scalars).collect()
}

/// A scalar in PTX and in the `.cu`.
fn types(scalar: Scalar) -> (&'static str, &'static str) {
    match scalar {
        Scalar::U32 => (".u32", "u32"),
        Scalar::I32 => (".u32", "int"),
        Scalar::F32 => (".f32", "float"),
        other => panic!("no twin has parameters of {other}"),
    }
}

/// What stands between the parentheses of the function.
fn parameters_of<'a>(text: &'a str, head: &str) -> Option<&'a str> {
    let at = text.find(&format!("{head}("))? + head.len() + 1;
    text[at..].split(')').next()
}

/// What differs between a twin and its WGSL; empty where nothing does.
fn differences(name: &str, wgsl: &str, ptx: &str, cu: &str) -> String {
    let module = Module::new(wgsl).expect("valid WGSL");
    let prescribed = prescribed(module.entry(name).expect("called like its file"));
    let mut wrong = String::new();
    let mut compare = |what: &str, expected: Vec<String>, got: Vec<String>| {
        if expected != got {
            writeln!(wrong, "{name}: {what} is {got:?}, WGSL has {expected:?}").expect("a string");
        }
    };

    let in_ptx = parameters_of(ptx, &format!(".entry {name}")).unwrap_or_default().split(',');
    let in_ptx = in_ptx.filter_map(|line| line.split_whitespace().nth(1)).map(str::to_owned).collect();
    compare("PTX", prescribed.iter().map(|(ptx, _)| (*ptx).to_owned()).collect(), in_ptx);

    let in_cu = parameters_of(cu, &format!("\n{name}")).unwrap_or_default().split(',');
    let in_cu = in_cu.map(|one| one.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    compare(".cu", prescribed.iter().map(|(_, cu)| cu.clone()).collect(), in_cu);

    let invocations: u32 = module.workgroup_size(name, &[]).expect("no overrides").iter().product();
    let function = ptx.split(&format!(".entry {name}(")).nth(1).unwrap_or_default();
    let bound = function.lines().find_map(|line| line.strip_prefix(".maxntid ")).unwrap_or_default();
    compare(".maxntid", vec![format!("{invocations}, 1, 1")], vec![bound.to_owned()]);
    wrong
}

/// PTX and `.cu` that hold the function of this name.
fn twin(name: &str) -> (String, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in fs::read_dir(folder).expect("the sources are here") {
        let path = file.expect("readable").path();
        if path.extension().is_some_and(|extension| extension == "ptx") {
            let ptx = fs::read_to_string(&path).expect("readable");
            if ptx.contains(&format!(".entry {name}(")) {
                return (ptx, fs::read_to_string(path.with_extension("cu")).expect("has its source"));
            }
        }
    }
    panic!("no .ptx has {name}");
}

#[test]
fn each_cuda_twin_takes_what_its_wgsl_declares() {
    let mut wrong = String::new();
    for (name, wgsl) in wharf_shaders::ALL {
        let (ptx, cu) = twin(name);
        wrong += &differences(name, wgsl, &ptx, &cu);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_twin_that_differs_is_noticed() {
    let (ptx, cu) = twin("saxpy");
    let wgsl = wharf_shaders::SAXPY.replace("params.a *", "f32(params.a) *");
    let changes = [
        (("a: f32", "a: f32"), 0),
        (("a: f32", "a: u32"), 2),
        (("n: u32,\n    a: f32,", "a: f32,\n    n: u32,"), 2),
        (("n: u32", "count: u32, n: u32"), 2),
        (("storage, read>", "storage, read_write>"), 1),
        (("workgroup_size(256)", "workgroup_size(128)"), 1),
    ];
    for ((from, to), lines) in changes {
        assert!(wgsl.contains(from), "{from} is in the WGSL");
        let wrong = differences("saxpy", &wgsl.replace(from, to), &ptx, &cu);
        assert_eq!(wrong.lines().count(), lines, "{to}: {wrong}");
    }
}
