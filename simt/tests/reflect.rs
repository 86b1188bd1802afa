//! What a module says of itself, and how it refuses.

use wharf_simt::{Access, Dim, Error, Location, Module, Scalar};

fn module(wgsl: &str) -> Module {
    Module::new(wgsl).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn modules_are_shared_between_threads() {
    fn shared<T: Send + Sync + std::fmt::Debug>() {}
    shared::<Module>();
    shared::<Error>();
}

#[test]
fn an_entry_lists_only_the_bindings_it_uses_sorted() {
    let module = module(
        "struct Params { n: u32, a: f32 }
         @group(1) @binding(0) var<storage, read_write> y: array<f32>;
         @group(0) @binding(7) var<uniform> params: Params;
         @group(0) @binding(2) var<storage> x: array<f32>;
         @group(0) @binding(3) var<storage> other: array<vec4<u32>>;
         fn scaled(i: u32) -> f32 { return params.a * x[i]; }
         @compute @workgroup_size(64, 2) fn saxpy(@builtin(global_invocation_id) id: vec3<u32>) {
             y[id.x] += scaled(id.x);
         }
         @compute @workgroup_size(1) fn count() { y[0] = f32(arrayLength(&other)); }",
    );
    let seen: Vec<_> = (module.entry("saxpy").unwrap().bindings.iter())
        .map(|s| (s.group, s.binding, s.name.as_str(), s.access, s.layout.to_string(), s.min_bytes))
        .collect();
    assert_eq!(
        seen,
        [
            (0, 2, "x", Access::Read, "array<f32>".to_owned(), 4),
            (0, 7, "params", Access::Uniform, "Params".to_owned(), 8),
            (1, 0, "y", Access::ReadWrite, "array<f32>".to_owned(), 4),
        ]
    );
    assert_eq!(module.entry("saxpy").unwrap().workgroup, [Dim::Fixed(64), Dim::Fixed(2), Dim::Fixed(1)]);
    let count: Vec<_> = module.entry("count").unwrap().bindings.iter().map(|s| s.name.clone()).collect();
    assert_eq!(count, ["other", "y"]);
    assert_eq!(module.entries().len(), 2);
}

#[test]
fn other_stages_are_not_listed_and_may_use_textures() {
    let module = module(
        "@group(0) @binding(0) var t: texture_2d<f32>;
         @fragment fn shade() -> @location(0) vec4<f32> { return textureLoad(t, vec2(0, 0), 0); }
         @compute @workgroup_size(1) fn main() { }",
    );
    assert_eq!(module.entries().len(), 1);
    assert!(module.entries()[0].bindings.is_empty());
}

const OVERRIDDEN: &str = "
    override width: u32 = 8;
    override twice = width * 2;
    @id(7) override scale: f32 = 1.5;
    @id(9) override needed: i32;
    override flag: bool = true;
    override unused: u32 = 3;
    var<workgroup> tile: array<f32, twice>;
    var<workgroup> fixed: array<vec3<f32>, 3>;
    @group(0) @binding(0) var<storage, read_write> out: array<f32>;
    @compute @workgroup_size(width, 2) fn main(@builtin(local_invocation_index) i: u32) {
        tile[i] = scale;
        workgroupBarrier();
        if flag { out[i] = tile[i]; }
    }
    @compute @workgroup_size(1) fn strict() { out[0] = f32(needed); fixed[0] = vec3(0.0); }";

#[test]
fn overrides_are_listed_with_their_defaults() {
    let module = module(OVERRIDDEN);
    let main = module.entry("main").unwrap();
    let seen: Vec<_> =
        (main.overrides.iter()).map(|o| (o.name.as_deref().unwrap_or(""), o.id, o.ty, o.default)).collect();
    assert_eq!(
        seen,
        [
            ("width", None, Scalar::U32, Some(8.0)),
            ("twice", None, Scalar::U32, Some(16.0)),
            ("scale", Some(7), Scalar::F32, Some(1.5)),
            ("flag", None, Scalar::Bool, Some(1.0)),
        ]
    );
    assert_eq!(main.workgroup, [Dim::Overridable, Dim::Fixed(2), Dim::Fixed(1)]);
    let strict = module.entry("strict").unwrap();
    assert_eq!(strict.overrides.len(), 1);
    assert_eq!((strict.overrides[0].id, strict.overrides[0].default), (Some(9), None));
}

#[test]
fn set_overrides_decide_the_workgroup() {
    let module = module(OVERRIDDEN);
    assert_eq!(module.workgroup_size("main", &[]), Ok([8, 2, 1]));
    assert_eq!(module.workgroup_size("main", &[("width", 32.0), ("@7", 0.5)]), Ok([32, 2, 1]));
    assert_eq!(module.workgroup_size("strict", &[("needed", -3.0)]), Ok([1, 1, 1]));
    assert_eq!(module.entry("main").unwrap().workgroup_bytes, None);
    assert_eq!(module.workgroup_bytes("main", &[("width", 32.0)]), Ok(256));
    assert_eq!(module.entry("strict").unwrap().workgroup_bytes, Some(48));
}

#[test]
fn wrong_overrides_are_named() {
    let module = module(OVERRIDDEN);
    let wrong = |set: &[(&str, f64)]| module.workgroup_size("main", set).unwrap_err().to_string();
    assert_eq!(wrong(&[("wdith", 1.0)]), "override: there is no `wdith`");
    assert_eq!(wrong(&[("@7", 1.0), ("scale", 2.0)]), "4:12: override: `scale` is set twice");
    assert!(wrong(&[("width", 0.0)]).contains("positive"), "{}", wrong(&[("width", 0.0)]));
    assert!(wrong(&[("width", -1.0)]).contains(": override: `width`: "), "{}", wrong(&[("width", -1.0)]));
}

#[test]
fn an_unknown_entry_names_those_there_are() {
    let error = module(OVERRIDDEN).entry("man").unwrap_err();
    assert_eq!(error.to_string(), "no compute entry point `man`; there is `main` and `strict`");
}

#[test]
fn errors_say_line_and_column() {
    let parse = Module::new("@compute @workgroup_size(1)\nfn main() {\n    let x = ;\n}").unwrap_err();
    let Error::Parse { at, message, .. } = &parse else { panic!("{parse:?}") };
    assert_eq!(*at, Some(Location { line: 3, column: 13 }));
    assert_eq!(parse.to_string(), format!("3:13: {message}"));

    let invalid = Module::new("@compute @workgroup_size(0)\nfn main() { }").unwrap_err();
    let named = "2:4: Entry point main at Compute is invalid: Workgroup size is out of range";
    assert_eq!(invalid.to_string(), named);
}

#[test]
fn errors_name_things_as_the_source_does() {
    let message = |text: &str| {
        let out = "@group(0) @binding(0) var<storage, read_write> out: array<u32>;\n";
        Module::new(&[out, text].concat()).unwrap_err().to_string()
    };
    let condition = message("@compute @workgroup_size(1) fn main() { if out[0] { } }");
    assert!(condition.ends_with("The `if` condition `out[0]` is not a boolean scalar"), "{condition}");
    let stride =
        message("@group(0) @binding(1) var<uniform> list: array<u32, 4>; @compute @workgroup_size(1) fn main() { }");
    assert!(stride.starts_with("2:23: Global variable 'list' is invalid"), "{stride}");
}

#[test]
fn columns_count_characters() {
    let error = Module::new("/* größer */ fn f() { let x = ; }").unwrap_err();
    assert!(matches!(error, Error::Parse { at: Some(Location { line: 1, column: 31 }), .. }), "{error:?}");
}

#[test]
fn what_does_not_run_here_is_refused_where_it_stands() {
    let texture = "@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var tex: texture_2d<f32>;
fn look() -> f32 { return textureLoad(tex, vec2(0, 0), 0).x; }
@compute @workgroup_size(1) fn main() { out[0] = look(); }";
    let error = Module::new(texture).unwrap_err();
    assert_eq!(error.to_string(), "2:23: a texture cannot run on the CPU");

    let sampler = "@group(0) @binding(1) var tex: texture_2d<f32>;
@group(0) @binding(2) var s: sampler;
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(1) fn main() { out[0] = textureSampleLevel(tex, s, vec2(0.0), 0.0).x; }";
    assert!(matches!(Module::new(sampler), Err(Error::Refused { at: Some(_), .. })));
}
