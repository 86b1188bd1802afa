//! Which adapters there are, best first, and what each can do.

use std::sync::OnceLock;

use wgpu::{Adapter, AdapterInfo, Backends, DeviceType, DownlevelFlags, Features};

use crate::{backend::Capabilities, error::BackendKind};

/// Why there is no adapter.
pub(super) const NONE: &str = "no Vulkan, Metal, DX12 or GL adapter with compute shaders was found";

/// What is switched on where the adapter has it.
const USEFUL: Features = Features::SHADER_F16
    .union(Features::SUBGROUP)
    .union(Features::SUBGROUP_BARRIER)
    .union(Features::SHADER_INT64)
    .union(Features::SHADER_F64)
    .union(Features::TIMESTAMP_QUERY);

/// Commands that may be in the driver at once: wgpu keeps a list of them, which it searches.
const MAX_IN_FLIGHT: u32 = 1024;

/// The adapters that can run compute shaders, best first: discrete, integrated, others, software. Each
/// card is here once, through the best of the interfaces it is seen through. GL is asked only where
/// the others see nothing: it is the slowest, and sees what they see.
///
/// Found once for the whole program: numbers do not change while it runs.
pub(super) fn all() -> &'static [Adapter] {
    static ALL: OnceLock<Vec<Adapter>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut adapters = seen_through(Backends::PRIMARY);
        if adapters.is_empty() {
            adapters = seen_through(Backends::GL);
        }
        let doors: Vec<Door> = adapters.iter().map(|a| Door::of(&a.get_info())).collect();
        let mut slots: Vec<Option<Adapter>> = adapters.into_iter().map(Some).collect();
        best_first(&doors).into_iter().filter_map(|index| slots[index].take()).collect()
    })
}

fn seen_through(backends: Backends) -> Vec<Adapter> {
    // No driver's trouble is worth more than the other devices: a panic means no adapter.
    let found = std::panic::catch_unwind(|| {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = backends;
        descriptor.flags = wgpu::InstanceFlags::empty();
        let instance = wgpu::Instance::new(descriptor);
        pollster::block_on(instance.enumerate_adapters(backends))
    });
    let mut adapters = found.unwrap_or_default();
    adapters.retain(|a| a.get_downlevel_capabilities().flags.contains(DownlevelFlags::COMPUTE_SHADERS));
    adapters
}

/// What tells one adapter from another.
#[derive(Debug, Clone, PartialEq)]
struct Door {
    name: String,
    vendor: u32,
    device: u32,
    pci: String,
    kind: DeviceType,
    interface: wgpu::Backend,
}

impl Door {
    fn of(info: &AdapterInfo) -> Self {
        Self {
            name: info.name.clone(),
            vendor: info.vendor,
            device: info.device,
            pci: info.device_pci_bus_id.clone(),
            kind: info.device_type,
            interface: info.backend,
        }
    }

    fn is_gl(&self) -> bool {
        self.interface == wgpu::Backend::Gl
    }

    fn rank(&self) -> (u8, bool) {
        let kind = match self.kind {
            DeviceType::DiscreteGpu => 0,
            DeviceType::IntegratedGpu => 1,
            DeviceType::VirtualGpu | DeviceType::Other => 2,
            DeviceType::Cpu => 3,
        };
        (kind, self.is_gl())
    }

    /// Whether two adapters of different interfaces are one card. GL knows neither bus nor device
    /// numbers, only a name that often holds Vulkan's.
    fn same_card(&self, other: &Self) -> bool {
        if self.interface == other.interface {
            return false;
        }
        if !self.pci.is_empty() && !other.pci.is_empty() {
            return self.pci == other.pci;
        }
        if self.device != 0 && other.device != 0 {
            return (self.vendor, self.device) == (other.vendor, other.device);
        }
        self.name.contains(&other.name) || other.name.contains(&self.name)
    }
}

/// Indices of the adapters to keep, best first.
fn best_first(doors: &[Door]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..doors.len()).collect();
    order.sort_by_key(|&i| (doors[i].is_gl(), i));
    let mut kept: Vec<usize> = Vec::new();
    for index in order {
        if !kept.iter().any(|&k| doors[k].same_card(&doors[index])) {
            kept.push(index);
        }
    }
    kept.sort_by_key(|&i| (doors[i].rank(), i));
    kept
}

/// The features that a device of this adapter is opened with.
pub(super) fn features(adapter: &Adapter) -> Features {
    adapter.features() & USEFUL
}

/// What a device of this adapter can do.
pub(super) fn capabilities(adapter: &Adapter) -> Capabilities {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), features(adapter));
    let subgroups = features.contains(Features::SUBGROUP);
    Capabilities {
        backend: BackendKind::Wgpu,
        driver: format!("{} {} ({:?})", info.driver, info.driver_info, info.backend),
        software: info.device_type == DeviceType::Cpu,
        unified_memory: matches!(info.device_type, DeviceType::Cpu | DeviceType::IntegratedGpu),
        max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
        max_workgroup_invocations: limits.max_compute_invocations_per_workgroup,
        max_workgroup_size: [
            limits.max_compute_workgroup_size_x,
            limits.max_compute_workgroup_size_y,
            limits.max_compute_workgroup_size_z,
        ],
        max_workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
        max_storage_bindings: limits.max_storage_buffers_per_shader_stage,
        max_binding_bytes: limits.max_storage_buffer_binding_size & !3,
        max_buffer_bytes: limits.max_buffer_size & !15,
        storage_alignment: u64::from(limits.min_storage_buffer_offset_alignment),
        // wgpu does not tell.
        memory_bytes: None,
        subgroup_sizes: if subgroups { (info.subgroup_min_size, info.subgroup_max_size) } else { (1, 1) },
        f16: features.contains(Features::SHADER_F16),
        timestamps: false,
        copy_engines: 0,
        copy_overlaps_compute: false,
        max_in_flight: MAX_IN_FLIGHT,
        name: info.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(name: &str, device: u32, kind: DeviceType, interface: wgpu::Backend) -> Door {
        Door { name: name.into(), vendor: 0x10de, device, pci: String::new(), kind, interface }
    }

    #[test]
    fn one_card_through_two_interfaces_is_one_adapter_and_software_is_last() {
        use wgpu::Backend::{Gl, Vulkan};
        let doors = [
            door("llvmpipe (LLVM 15)", 0, DeviceType::Cpu, Vulkan),
            door("Card/PCIe/SSE2", 0, DeviceType::Other, Gl),
            door("Card", 0x2684, DeviceType::DiscreteGpu, Vulkan),
            door("llvmpipe (LLVM 15)", 0, DeviceType::Cpu, Gl),
        ];
        assert_eq!(best_first(&doors), [2, 0]);
    }

    #[test]
    fn two_equal_cards_are_two_adapters() {
        let doors = [0, 1].map(|_| door("Card", 7, DeviceType::DiscreteGpu, wgpu::Backend::Vulkan));
        assert_eq!(best_first(&doors), [0, 1]);
    }
}
