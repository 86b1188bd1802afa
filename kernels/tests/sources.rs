//! The descriptors and the WGSL say the same: names, bindings, parameters, numbering of workgroups.

use std::collections::BTreeSet;

use wharf::{Grid, Job, Kernel, Value};
use wharf_kernels::{ALL, Inputs, Role};
use wharf_simt::{Access, Entry, Scalar, Slot};

fn storage(entry: &Entry) -> impl Iterator<Item = &Slot> {
    entry.bindings.iter().filter(|slot| slot.access != Access::Uniform)
}

/// The uniform block's members.
fn parameters(entry: &Entry) -> Vec<(String, Scalar)> {
    let uniforms = entry.bindings.iter().filter(|slot| slot.access == Access::Uniform);
    uniforms.flat_map(|slot| slot.layout.scalars(1)).map(|leaf| (leaf.path, leaf.scalar)).collect()
}

fn all_kernels() -> Vec<&'static Kernel> {
    let mut kernels: Vec<_> = ALL.iter().flat_map(|spec| spec.kernels()).collect();
    kernels.sort_by_key(|kernel| kernel.name());
    kernels.dedup_by_key(|kernel| kernel.name());
    kernels
}

#[test]
fn every_source_has_a_kernel_and_every_kernel_its_own_source() {
    let kernels: BTreeSet<_> = all_kernels().iter().map(|kernel| (kernel.name(), kernel.wgsl())).collect();
    assert_eq!(kernels, wharf_shaders::ALL.iter().copied().collect());
}

#[test]
fn every_kernel_is_called_like_its_plan_or_spec() {
    for spec in ALL {
        assert!(spec.kernels().iter().all(|kernel| kernel.name() == spec.name), "{}", spec.name);
        if let Job::Plan(plan) = spec.job {
            assert_eq!(plan.name, spec.name);
        }
    }
}

#[test]
fn bindings_are_numbered_from_zero_with_the_uniform_block_last() {
    for kernel in all_kernels() {
        let entry = kernel.entry().expect("valid");
        for (i, slot) in entry.bindings.iter().enumerate() {
            assert_eq!((slot.group, slot.binding), (0, i as u32), "{}.{}", kernel.name(), slot.name);
            let last = i + 1 == entry.bindings.len();
            assert!(slot.access != Access::Uniform || last && slot.name == "params", "{}", kernel.name());
        }
    }
}

#[test]
fn descriptors_name_what_the_wgsl_has() {
    for kernel in all_kernels() {
        let entry = kernel.entry().expect("valid");
        let has_binding = |name: &str| storage(entry).any(|slot| slot.name == name);
        let has_parameter = |name: &str| parameters(entry).contains(&(name.to_owned(), Scalar::U32));
        match kernel.grid() {
            Grid::Elements { of, .. } | Grid::Strided { of, .. } => assert!(has_binding(of), "{of}"),
            Grid::Rectangle { width, height, .. } => assert!(has_parameter(width) && has_parameter(height)),
            other => panic!("{}: {other:?} asks the caller", kernel.name()),
        }
        for need in kernel.needs() {
            assert!(has_binding(need.binding), "{}.{}", kernel.name(), need.binding);
            assert!(need.product.iter().all(|name| has_parameter(name)), "{}: {need:?}", kernel.name());
        }
        assert!(kernel.native().is_some(), "{} has a native twin", kernel.name());
        let ptx = kernel.ptx().unwrap_or_else(|| panic!("{} has a CUDA twin", kernel.name()));
        assert!(ptx.contains(&format!(".entry {}(", kernel.name())), "{}", kernel.name());
        assert!(kernel.has_linear_ids(), "{} may be folded", kernel.name());
        assert!(kernel.wgsl().contains("workgroup.y * workgroups.x + workgroup.x"), "{}", kernel.name());
    }
}

#[test]
fn cases_bind_what_the_wgsl_declares_and_give_its_parameters() {
    for spec in ALL {
        let case = (spec.case)(300, Inputs::Exact);
        let kernels = spec.kernels();
        let entry = kernels[0].entry().expect("valid");
        let declared: Vec<_> =
            storage(entry).map(|slot| (slot.name.as_str(), slot.access == Access::ReadWrite)).collect();
        let bound: Vec<_> = case.bindings.iter().map(|binding| (binding.name, binding.role != Role::Input)).collect();
        assert_eq!(bound, declared, "{}", spec.name);
        let given: Vec<_> = (case.args.iter())
            .map(|(name, value)| match value {
                Value::F32(_) => ((*name).to_owned(), Scalar::F32),
                Value::I32(_) => ((*name).to_owned(), Scalar::I32),
                _ => ((*name).to_owned(), Scalar::U32),
            })
            .collect();
        assert_eq!(given, parameters(entry), "{}", spec.name);
    }
}

/// One workgroup must cover what one workgroup of the grid is told to cover.
#[test]
fn tiles_are_those_of_the_wgsl() {
    for kernel in all_kernels() {
        let (name, tile) = match kernel.grid() {
            Grid::Elements { per_group, .. } | Grid::Strided { per_group, .. } => ("TILE", per_group),
            Grid::Rectangle { tile: [x, y], .. } => {
                assert_eq!(x, y, "{}", kernel.name());
                ("SIDE", x)
            }
            _ => continue,
        };
        assert!(kernel.wgsl().contains(&format!("const {name} = {tile}u;")), "{}: {name} {tile}", kernel.name());
    }
}
