//! WGSL on the CPU: reflection, layout, and the compute entry points themselves.
//!
//! [`Module`] is parsed and validated WGSL. It says what its compute entry points are called, how large
//! their workgroups are, which buffers they bind and how those are laid out. Nothing here knows of
//! devices or queues: the crate is useful alone.
//!
//! ```
//! let module = wharf_simt::Module::new(
//!     "struct Params { n: u32, scale: f32 }
//!      @group(0) @binding(0) var<uniform> params: Params;
//!      @group(0) @binding(1) var<storage, read_write> data: array<f32>;
//!      @compute @workgroup_size(64)
//!      fn scale(@builtin(global_invocation_id) id: vec3<u32>) {
//!          if id.x < params.n { data[id.x] *= params.scale; }
//!      }",
//! )?;
//! let entry = module.entry("scale")?;
//! assert_eq!(entry.bindings[0].layout.to_string(), "Params");
//! assert_eq!(entry.bindings[1].layout.to_string(), "array<f32>");
//! assert_eq!(module.workgroup_size("scale", &[])?, [64, 1, 1]);
//! # Ok::<(), wharf_simt::Error>(())
//! ```
//!
//! # What runs
//!
//! Everything else that naga accepts for compute, 16- and 64-bit scalars and subgroups included (a subgroup
//! is 16 invocations). A [`Program`] is an entry point compiled by [`Module::compile`]; it is dispatched on
//! the caller's threads over buffers that other threads may share.
//!
//! # What is refused
//!
//! What a compute entry point uses of the following, itself or through a function, and whatever naga itself rejects.
//! Each refusal is an [`Error`] with line and column; nothing is run wrongly in silence.
//!
#![doc = include_str!("../REFUSALS.md")]

#[cfg(feature = "interp")]
mod check;
mod depth;
#[cfg(feature = "interp")]
mod dispatch;
mod error;
#[cfg(feature = "interp")]
mod finding;
mod front;
#[cfg(feature = "interp")]
mod half;
#[cfg(feature = "interp")]
mod interp;
#[cfg(feature = "interp")]
mod ir;
#[cfg(feature = "jit")]
mod jit;
mod layout;
#[cfg(feature = "interp")]
mod lower;
#[cfg(feature = "interp")]
mod memory;
#[cfg(feature = "interp")]
mod program;
mod reflect;
mod refuse;

pub use error::{Error, Location};
#[cfg(feature = "interp")]
pub use finding::{Budget, Finding, Invocation, Kind, Severity};
pub use layout::{Layout, Leaf, Member, Scalar};
#[cfg(feature = "interp")]
pub use memory::Memory;
#[cfg(feature = "interp")]
pub use program::{Engine, Fallback, Program, Stats};
pub use reflect::{Access, Dim, Entry, Module, Override, Slot};
