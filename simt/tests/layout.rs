//! Offsets and sizes against the tables of the WGSL specification, worked out by hand.

use wharf_simt::{Layout, Module};

/// The layout of `var<storage, read_write> it: TYPE`, after `declarations`.
fn layout(declarations: &str, ty: &str) -> Layout {
    let uses = ["it", "atomicLoad(&it)", "atomicLoad(&it[0])", "it[0]", "it.n", "atomicLoad(&it.n)"];
    let layouts = uses.iter().filter_map(|used| {
        let module = Module::new(&format!(
            "{declarations}
             @group(0) @binding(0) var<storage, read_write> it: {ty};
             @compute @workgroup_size(1) fn main() {{ _ = {used}; }}"
        ));
        Some(module.ok()?.entries()[0].bindings.first()?.layout.clone())
    });
    layouts.into_iter().next().unwrap_or_else(|| panic!("{ty} can be used in one of these ways"))
}

/// `(size, alignment)` of a type.
fn size_align(ty: &str) -> (u64, u32) {
    let layout = layout("", ty);
    (layout.bytes(0), layout.align())
}

/// The offsets of a structure's members, its alignment and its size.
fn offsets(declarations: &str, ty: &str) -> (Vec<u32>, u32, u64) {
    let layout = layout(declarations, ty);
    let Layout::Struct { members, align, .. } = &layout else { panic!("{ty} is a structure") };
    (members.iter().map(|member| member.offset).collect(), *align, layout.bytes(0))
}

#[test]
fn scalars_vectors_and_matrices_have_the_sizes_of_the_table() {
    for (ty, size, align) in [
        ("f32", 4, 4),
        ("i32", 4, 4),
        ("u32", 4, 4),
        ("vec2<f32>", 8, 8),
        ("vec3<u32>", 12, 16),
        ("vec4<i32>", 16, 16),
        ("mat2x2<f32>", 16, 8),
        ("mat2x3<f32>", 32, 16),
        ("mat2x4<f32>", 32, 16),
        ("mat3x2<f32>", 24, 8),
        ("mat3x3<f32>", 48, 16),
        ("mat3x4<f32>", 48, 16),
        ("mat4x2<f32>", 32, 8),
        ("mat4x3<f32>", 64, 16),
        ("mat4x4<f32>", 64, 16),
        ("atomic<u32>", 4, 4),
        ("array<f32, 5>", 20, 4),
        ("array<vec3<f32>, 5>", 80, 16),
        ("array<mat3x3<f32>, 2>", 96, 16),
        ("array<array<vec2<f32>, 3>, 2>", 48, 8),
        ("u64", 8, 8),
        ("vec3<u64>", 24, 32),
    ] {
        assert_eq!(size_align(ty), (size, align), "{ty}");
    }
}

#[test]
fn half_floats_take_two_bytes() {
    let of = |ty: &str| {
        let layout = layout("enable f16;", ty);
        (layout.bytes(0), layout.align())
    };
    assert_eq!(of("f16"), (2, 2));
    assert_eq!(of("vec2<f16>"), (4, 4));
    assert_eq!(of("vec3<f16>"), (6, 8));
    assert_eq!(of("vec4<f16>"), (8, 8));
    assert_eq!(of("mat3x3<f16>"), (24, 8));
    assert_eq!(of("array<vec3<f16>, 4>"), (32, 8));
}

#[test]
fn a_scalar_fills_the_hole_behind_a_vec3() {
    let declared = "struct S { a: f32, b: vec3<f32>, c: f32, d: vec2<u32>, e: u32 }";
    assert_eq!(offsets(declared, "S"), (vec![0, 16, 28, 32, 40], 16, 48));
}

#[test]
fn nested_structures_are_padded_to_their_alignment() {
    let declared = "struct In { a: vec3<f32> }
                    struct Out { x: f32, inner: In, y: f32, list: array<In, 2>, m: mat3x3<f32>, z: f32 }";
    // In: size 16, align 16. x 0, inner 16..32, y 32, list 48..80, m 80..128, z 128.
    assert_eq!(offsets(declared, "Out"), (vec![0, 16, 32, 48, 80, 128], 16, 144));
}

#[test]
fn size_and_align_attributes_move_what_follows() {
    let declared = "struct S { @size(16) a: f32, b: f32, @align(32) c: f32, d: f32 }";
    let (offsets, _, size) = offsets(declared, "S");
    assert_eq!((offsets, size), (vec![0, 16, 32, 36], 64));
}

#[test]
fn a_runtime_array_grows_with_the_buffer() {
    let plain = layout("", "array<vec3<f32>>");
    assert_eq!((plain.min_bytes(), plain.bytes(10), plain.tail_stride()), (16, 160, Some(16)));
    assert_eq!(plain.elements_in(159), Some(9));

    let tail = layout("struct S { n: u32, v: vec2<f32>, data: array<f32> }", "S");
    // n 0, v 8..16, data from 16; the whole is rounded up to 8.
    assert_eq!((tail.min_bytes(), tail.bytes(0), tail.bytes(3)), (24, 16, 32));
    assert_eq!(tail.elements_in(24), Some(2));
    assert_eq!(tail.elements_in(0), Some(0));
    assert_eq!(layout("", "f32").elements_in(64), None);
}

#[test]
fn types_print_as_wgsl() {
    for ty in
        ["f32", "vec3<u32>", "mat3x2<f32>", "array<f32>", "array<vec4<i32>, 7>", "atomic<i32>", "array<atomic<u32>>"]
    {
        assert_eq!(layout("", ty).to_string(), ty);
    }
    assert_eq!(layout("struct Params { n: u32 }", "Params").to_string(), "Params");
    assert_eq!(layout("struct P { n: u32 }", "array<P>").to_string(), "array<P>");
}

#[test]
fn a_structure_flattens_to_named_scalars() {
    let declared = "struct Light { color: vec3<f32>, power: f32 }
                    struct S { n: u32, light: array<Light, 2>, m: mat2x3<f32>, tail: array<vec2<i32>> }";
    let leaves: Vec<String> = layout(declared, "S")
        .scalars(1)
        .iter()
        .map(|leaf| format!("{} {} {}", leaf.path, leaf.offset, leaf.scalar))
        .collect();
    assert_eq!(
        leaves,
        [
            "n 0 u32",
            "light[0].color.x 16 f32",
            "light[0].color.y 20 f32",
            "light[0].color.z 24 f32",
            "light[0].power 28 f32",
            "light[1].color.x 32 f32",
            "light[1].color.y 36 f32",
            "light[1].color.z 40 f32",
            "light[1].power 44 f32",
            "m[0].x 48 f32",
            "m[0].y 52 f32",
            "m[0].z 56 f32",
            "m[1].x 64 f32",
            "m[1].y 68 f32",
            "m[1].z 72 f32",
            "tail[0].x 80 i32",
            "tail[0].y 84 i32",
        ]
    );
    assert_eq!(layout("", "f32").scalars(0)[0].path, "");
}
