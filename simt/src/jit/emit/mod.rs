//! The kernel as Cranelift's IR: one function that runs one workgroup.

mod access;
mod arith;
mod atomic;
mod call;
mod compare;
mod flow;
mod place;
mod reach;
mod region;
mod value;
mod whole;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, F32X4, I8, I32, I32X4, I64};
use cranelift_codegen::ir::{
    AbiParam, Block, InstBuilder, MemFlagsData, SigRef, Signature, StackSlot, StackSlotData, StackSlotKind, Type, Value,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig, TargetIsa};
use cranelift_frontend::{FunctionBuilder, Variable};
use std::mem::{offset_of, size_of};

use super::frame::{Buffer, Frame};
use super::helper;
use super::plan::{Home, Plan};
use crate::dispatch::Halt;
use crate::ir::{Inst, Kernel, Label, Reg};
use value::Val;

/// Lanes of a vector.
const VECTOR: usize = 4;
/// Memory that is there, and aligned to its elements.
const PLAIN: MemFlagsData = MemFlagsData::new().with_notrap();
/// The same, and the same bytes whenever it is read.
const FIXED: MemFlagsData = MemFlagsData::new().with_notrap().with_readonly().with_can_move();
/// The function's answer where a workgroup came to its end.
pub(super) const DONE: i64 = 0;
/// Its answer where it was told to stop. Greater ones are places in [`Emitted::halts`], from 2.
pub(super) const STOPPED: i64 = 1;

/// A value of each lane of a block, by vectors of four; those beyond the block's width are never used.
type Lanes = [Value; 4];

/// What the code refers to by its number.
#[derive(Debug, Default)]
pub(super) struct Emitted {
    /// Instructions that the interpreter does.
    pub calls: Vec<Inst>,
    /// Where a workgroup may end early.
    pub halts: Vec<Halt>,
}

/// What a kernel is compiled with.
pub(super) struct Input<'a> {
    pub kernel: &'a Kernel,
    pub plan: &'a Plan<'a>,
    /// `local_invocation_id` of each lane: all x, all y, all z.
    pub local: &'a [u32],
    /// Lanes of a workgroup, rounded up to whole blocks of sixteen.
    pub padded: u32,
    /// Lanes of a block.
    pub width: u32,
    pub bindings: usize,
}

struct Emit<'a, 'f> {
    b: FunctionBuilder<'f>,
    input: Input<'a>,
    call_conv: CallConv,
    /// Whether the machine takes one vector or another by a mask in one instruction.
    blends: bool,
    /// Vectors of a block.
    vectors: usize,
    frame: Value,
    /// Address and length of each binding.
    buffers: Vec<(Value, Value)>,
    /// Workgroup memory.
    shared: Value,
    /// Rows of lanes.
    context: Value,
    group: [Value; 3],
    groups: [Value; 3],
    /// In a region: the first lane of the block, and its place in a row of the context in bytes.
    lane: Option<(Value, Value)>,
    /// Temporaries made in this region.
    temps: Vec<Option<Val>>,
    scalars: Vec<Option<Variable>>,
    lanes: Vec<Option<[Variable; 4]>>,
    /// The active lanes; [`flow::Mask`] says whether they are kept.
    mask: flow::Mask,
    mask_vars: [Variable; 4],
    /// Whether the code is for blocks that are known to have parted, beside code for those that have not.
    ragged: bool,
    /// Scopes that are open in the region.
    scopes: Vec<flow::Scope>,
    /// Scopes of the whole workgroup that are open.
    whole: Vec<whole::Scope>,
    /// Invocations of the workgroup that are active, where that may be less than all.
    active: Variable,
    /// Conditions that are open on which the workgroup's invocations differed.
    waiting: u32,
    /// An address that all invocations have been found to agree on.
    agreed: Option<(Reg, Value)>,
    /// Whether the code that is being emitted hardly ever runs.
    cold: bool,
    /// Where the list that is being emitted ends.
    ends: Vec<Option<Block>>,
    scratch: [StackSlot; 3],
    signatures: std::collections::HashMap<(*const (), bool), SigRef>,
    out: Emitted,
}

/// Emits the kernel into an empty function of [`signature`].
pub(super) fn function(b: FunctionBuilder<'_>, isa: &dyn TargetIsa, input: Input<'_>) -> Emitted {
    Emit::new(b, isa, input).run(isa.frontend_config())
}

/// `fn(frame: *mut Frame) -> u32`
pub(super) fn signature(call_conv: CallConv) -> Signature {
    let mut signature = Signature::new(call_conv);
    signature.params.push(AbiParam::new(I64));
    signature.returns.push(AbiParam::new(I32));
    signature
}

impl<'a, 'f> Emit<'a, 'f> {
    fn new(mut b: FunctionBuilder<'f>, isa: &dyn TargetIsa, input: Input<'a>) -> Self {
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        b.seal_block(entry);
        let frame = b.block_params(entry)[0];
        let mut field = |ty: Type, offset: usize| b.ins().load(ty, FIXED, frame, offset as i32);
        let list = field(I64, offset_of!(Frame, buffers));
        let shared = field(I64, offset_of!(Frame, shared));
        let context = field(I64, offset_of!(Frame, context));
        let group = [0, 4, 8].map(|at| field(I32, offset_of!(Frame, group) + at));
        let groups = [0, 4, 8].map(|at| field(I32, offset_of!(Frame, groups) + at));
        let buffers = (0..input.bindings)
            .map(|slot| {
                let at = slot * size_of::<Buffer>();
                let start = b.ins().load(I64, FIXED, list, (at + offset_of!(Buffer, start)) as i32);
                let elements = b.ins().load(I32, FIXED, list, (at + offset_of!(Buffer, elements)) as i32);
                (start, elements)
            })
            .collect();
        let scratch =
            [(); 3].map(|()| b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 64, 4)));
        let mask_vars = [(); 4].map(|()| b.declare_var(I32X4));
        let active = b.declare_var(I32);
        let regs = input.kernel.regs.len();
        let vectors = input.width as usize / VECTOR;
        Self {
            b,
            call_conv: isa.default_call_conv(),
            blends: isa.isa_flags().iter().any(|flag| flag.name == "has_sse41" && flag.as_bool() == Some(true)),
            vectors,
            frame,
            buffers,
            shared,
            context,
            group,
            groups,
            lane: None,
            temps: vec![None; regs],
            scalars: vec![None; regs],
            lanes: vec![None; regs],
            mask: flow::Mask::Full,
            mask_vars,
            ragged: false,
            scopes: Vec::new(),
            whole: Vec::new(),
            active,
            waiting: 0,
            agreed: None,
            cold: false,
            ends: Vec::new(),
            scratch,
            signatures: std::collections::HashMap::new(),
            out: Emitted::default(),
            input,
        }
    }

    fn run(mut self, target: TargetFrontendConfig) -> Emitted {
        let plan = self.input.plan;
        let (lanes, padded) = (self.lane_count(), self.input.padded);
        if plan.partial {
            self.reset_mask(lanes, padded);
        }
        if self.stages(&plan.stages) {
            self.finish(DONE);
        }
        self.b.seal_all_blocks();
        self.b.finalize(target);
        self.out
    }

    /// Invocations of a workgroup.
    fn lane_count(&self) -> u32 {
        self.input.kernel.lanes
    }

    /// Lanes of a block.
    fn width(&self) -> u32 {
        self.input.width
    }

    fn home(&self, reg: u32) -> Home {
        self.input.plan.homes[reg as usize]
    }

    /// Ends the workgroup with this answer.
    fn finish(&mut self, answer: i64) {
        let answer = self.b.ins().iconst(I32, answer);
        self.b.ins().return_(&[answer]);
    }

    /// Ends the workgroup for a reason that has a place in the source.
    fn halt(&mut self, halt: Halt) {
        self.out.halts.push(halt);
        self.finish(STOPPED + self.out.halts.len() as i64);
    }

    /// Goes on only if nobody said stop.
    fn poll(&mut self) {
        let flag = self.b.ins().load(I64, FIXED, self.frame, offset_of!(Frame, stop) as i32);
        let stop = self.b.ins().load(I8, PLAIN, flag, 0);
        let (stopped, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(stopped);
        self.b.ins().brif(stop, stopped, &[], go_on, &[]);
        self.start(stopped);
        self.finish(STOPPED);
        self.start(go_on);
    }

    /// Emits code that hardly ever runs.
    fn rarely<T>(&mut self, emit: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.cold, true);
        let result = emit(self);
        self.cold = before;
        result
    }

    /// A new block, out of the way where the code is cold.
    fn block(&mut self) -> Block {
        let block = self.b.create_block();
        if self.cold {
            self.b.set_cold_block(block);
        }
        block
    }

    /// Goes on in a block that nothing else will jump to.
    fn start(&mut self, block: Block) {
        self.b.switch_to_block(block);
        self.b.seal_block(block);
    }

    /// Calls a function of this crate, whose parameters are words of 64 or, where named so, 32 bits.
    fn host(&mut self, function: *const (), args: &[Value], answers: bool) -> Option<Value> {
        let types: Vec<Type> = args.iter().map(|&arg| self.b.func.dfg.value_type(arg)).collect();
        let call_conv = self.call_conv;
        let b = &mut self.b;
        let signature = *self.signatures.entry((function, answers)).or_insert_with(|| {
            let mut signature = Signature::new(call_conv);
            signature.params.extend(types.iter().map(|&ty| AbiParam::new(ty)));
            signature.returns.extend(answers.then(|| AbiParam::new(I32)));
            b.import_signature(signature)
        });
        let callee = self.b.ins().iconst(I64, function.addr() as i64);
        let call = self.b.ins().call_indirect(signature, callee, args);
        self.b.inst_results(call).first().copied()
    }

    fn scope_row(&self, label: Label) -> Option<u32> {
        self.input.plan.left.get(&label).copied()
    }
}
