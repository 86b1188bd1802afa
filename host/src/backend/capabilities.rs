//! What devices can do.

use crate::error::BackendKind;

/// What a device can do and how much of it: read from the driver, never guessed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The kind of backend.
    pub backend: BackendKind,
    /// The name the driver gives, e.g. `llvmpipe (LLVM 15.0.6, 256 bits)`.
    pub name: String,
    /// The driver and its version.
    pub driver: String,
    /// Runs on the host's cores (the CPU device and software adapters).
    pub software: bool,
    /// Shares its memory with the host.
    pub unified_memory: bool,
    /// Bytes of workgroup memory a workgroup may have.
    pub max_workgroup_bytes: u32,
    /// Invocations a workgroup may have.
    pub max_workgroup_invocations: u32,
    /// Workgroup size in x, y, z.
    pub max_workgroup_size: [u32; 3],
    /// Workgroups in one dimension of a dispatch.
    pub max_workgroups_per_dimension: u32,
    /// Storage bindings a kernel may have.
    pub max_storage_bindings: u32,
    /// Bytes of one storage binding.
    pub max_binding_bytes: u64,
    /// Bytes of one allocation.
    pub max_buffer_bytes: u64,
    /// Offsets of storage bindings must be multiples of this.
    pub storage_alignment: u64,
    /// Bytes of device memory in all, where the driver tells; of a device that was opened with a bound
    /// ([`Options::memory_bytes`](crate::Options::memory_bytes)) no more than that.
    pub memory_bytes: Option<u64>,
    /// Smallest and largest subgroup; (1, 1) where there are none.
    pub subgroup_sizes: (u32, u32),
    /// `f16` in shaders.
    pub f16: bool,
    /// Device times of commands.
    pub timestamps: bool,
    /// Engines that copy while kernels run; 0 where copies and kernels take turns.
    pub copy_engines: u32,
    /// Whether a copy and a kernel of two messages overlap on the device.
    pub copy_overlaps_compute: bool,
    /// Commands the driver may be given before they finish.
    pub max_in_flight: u32,
}

impl Capabilities {
    /// Whether times are computed for a device that is not there, rather than measured.
    pub fn is_simulated(&self) -> bool {
        self.backend == BackendKind::Sim
    }
}
