//! Machine code and the memory it runs in.
#![expect(unsafe_code, reason = "generated code is called by its address")]

use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{Context, ir, isa};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{Linkage, Module as _};

use super::emit::{self, Emitted, Input};
use super::frame::Frame;

/// A function that runs one workgroup.
///
/// Invariant: `entry` is the function that [`emit::function`] describes, and lies in the memory of
/// `module`, which lives as long and is not written again.
pub(super) struct Code {
    entry: unsafe extern "C" fn(*mut Frame<'_>) -> u32,
    module: Option<JITModule>,
    pub bytes: usize,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

// SAFETY: code does not change (invariant); the module is only kept, and dropped once.
unsafe impl Send for Code {}
// SAFETY: as above; `&Code` gives nothing but calls.
unsafe impl Sync for Code {}

/// The machine to compile for, if it is one that code can be emitted for.
fn target() -> Option<isa::OwnedTargetIsa> {
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", "speed"),
        ("use_colocated_libcalls", "false"),
        ("is_pic", "false"),
        ("enable_verifier", if cfg!(debug_assertions) { "true" } else { "false" }),
        ("enable_probestack", "false"),
    ] {
        flags.set(name, value).ok()?;
    }
    let isa = cranelift_native::builder().ok()?.finish(settings::Flags::new(flags)).ok()?;
    let little = isa.endianness() == ir::Endianness::Little && isa.pointer_bytes() == 8;
    little.then_some(isa)
}

impl Code {
    /// Compiles a kernel, if there is code for it on this machine.
    pub(super) fn new(input: Input<'_>) -> Option<(Self, Emitted)> {
        let isa = target()?;
        let call_conv = isa.default_call_conv();
        let mut module = JITModule::new(JITBuilder::with_isa(isa, cranelift_module::default_libcall_names()));
        let mut context = module.make_context();
        context.func.signature = emit::signature(call_conv);
        let mut builder = FunctionBuilderContext::new();
        let emitted = {
            let b = FunctionBuilder::new(&mut context.func, &mut builder);
            emit::function(b, module.isa(), input)
        };
        let compiled = define(&mut module, &mut context);
        let Some((entry, bytes)) = compiled else {
            // SAFETY: nothing of this module has an address that anybody knows.
            unsafe { module.free_memory() };
            return None;
        };
        // SAFETY: this is the address of a function of `emit::signature`, in the convention of `extern "C"`.
        let entry = unsafe { std::mem::transmute::<*const u8, unsafe extern "C" fn(*mut Frame<'_>) -> u32>(entry) };
        Some((Self { entry, module: Some(module), bytes }, emitted))
    }

    /// Runs one workgroup; what the function answers.
    ///
    /// # Safety
    ///
    /// Every address in the frame is that of as much memory as the kernel that was compiled expects.
    pub(super) unsafe fn run(&self, frame: &mut Frame<'_>) -> u32 {
        // SAFETY: the entry is the compiled function (invariant); the frame is as it expects (caller).
        unsafe { (self.entry)(frame) }
    }
}

fn define(module: &mut JITModule, context: &mut Context) -> Option<(*const u8, usize)> {
    let id = module.declare_function("workgroup", Linkage::Export, &context.func.signature).ok()?;
    module.define_function(id, context).ok()?;
    let bytes = context.compiled_code().map_or(0, |code| code.code_info().total_size as usize);
    module.finalize_definitions().ok()?;
    Some((module.get_finalized_function(id), bytes))
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: who could call the code holds a reference to `self`, and there is none.
            unsafe { module.free_memory() };
        }
    }
}
