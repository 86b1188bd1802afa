//! Memory that invocations share, used without races.
//!
//! An array with an element for every invocation of the workgroup is either *own* (each invocation
//! touches its element alone) or *open* (all read anywhere); it changes at barriers that order it.
//! An atomic has one kind of operation whose order does not matter.

use crate::generator::{Gen, Var};
use crate::tree::Stmt;
use crate::ty::{Class, I32, Scalar, Shape, Ty, U32};

pub(crate) const ATOMICS: &[&str] = &[
    "atomicAdd",
    "atomicSub",
    "atomicAnd",
    "atomicOr",
    "atomicXor",
    "atomicMax",
    "atomicMin",
    "atomicStore",
    "atomicLoad",
    "atomicExchange",
    "atomicCompareExchangeWeak",
    "ticket",
];
pub(crate) const SHARED: &[&str] = &[
    "read of another's workgroup memory",
    "read of another's storage",
    "workgroupBarrier",
    "storageBarrier",
    "textureBarrier",
    "barrier in a function",
    "barrier in a loop",
    "barrier in an if",
    "barrier in a switch",
    "workgroupUniformLoad",
];
pub(crate) const SUBGROUPS: &[&str] = &[
    "subgroupAdd",
    "subgroupMul",
    "subgroupMin",
    "subgroupMax",
    "subgroupAnd",
    "subgroupOr",
    "subgroupXor",
    "subgroupInclusiveAdd",
    "subgroupExclusiveAdd",
    "subgroupInclusiveMul",
    "subgroupExclusiveMul",
    "subgroupBroadcastFirst",
    "subgroupShuffleXor",
    "subgroupShuffleUp",
    "subgroupShuffleDown",
    "subgroupShuffle",
    "quadSwapX",
    "subgroupBallot",
    "subgroupAll",
    "subgroupAny",
];

/// An array with an element for every invocation of the workgroup.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) element: Shape,
    pub(crate) lanes: u32,
    /// Its place in the scope.
    pub(crate) at: usize,
    pub(crate) storage: bool,
    pub(crate) name: &'static str,
}

/// What the entry point keeps book of.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    pub(crate) arrays: Vec<Shared>,
    /// Whether the workgroup's atomics are read now, rather than changed.
    pub(crate) atomics_read: bool,
    /// Whether the last barrier is behind.
    pub(crate) over: bool,
    /// Values that are the same in the whole workgroup.
    pub(crate) uniform: Vec<String>,
}

impl Shared {
    fn own(&self) -> Var {
        let index = if self.storage { "flat" } else { "local" };
        Var::memory(format!("{}[{index}]", self.name), self.element.clone(), true)
    }

    fn open(&self) -> Var {
        let shape = Shape::Array(Box::new(self.element.clone()), self.lanes);
        let first = if self.storage { "first + " } else { "" };
        Var { first, ..Var::memory(self.name, shape, false) }
    }
}

impl Gen<'_> {
    /// Brings a shared array into scope, with its own elements only.
    pub(crate) fn share(&mut self, mut shared: Shared) {
        shared.at = self.scope.len();
        self.scope.push(shared.own());
        self.sharing.arrays.push(shared);
    }

    /// A barrier of any kind, or one that orders everything.
    pub(crate) fn barrier(&mut self, full: bool, out: &mut Vec<Stmt>) {
        let pick = if full { 3 } else { self.choices.below(6) };
        let (workgroup, storage, text) = match pick {
            0 | 1 => (true, false, "workgroupBarrier();"),
            2 => (false, true, "storageBarrier();"),
            3 => (true, true, "workgroupBarrier(); storageBarrier();"),
            4 => (false, false, "textureBarrier();"),
            _ => (true, true, "sync();"),
        };
        if pick == 4 {
            self.count("textureBarrier");
        } else if pick == 5 {
            self.count("barrier in a function");
        }
        for (holds, what) in [(workgroup, "workgroupBarrier"), (storage, "storageBarrier")] {
            if holds {
                self.count(what);
            }
        }
        out.push(Stmt::Fixed(text.into()));
        for i in 0..self.sharing.arrays.len() {
            let shared = &self.sharing.arrays[i];
            if (shared.storage && storage) || (!shared.storage && workgroup) {
                let (at, is_storage) = (shared.at, shared.storage);
                let open = self.choices.chance(50);
                let shared = &self.sharing.arrays[i];
                self.scope[at] = if open { shared.open() } else { shared.own() };
                if open {
                    self.count(if is_storage {
                        "read of another's storage"
                    } else {
                        "read of another's workgroup memory"
                    });
                }
            }
        }
        if workgroup {
            self.sharing.atomics_read = self.choices.chance(40);
        }
    }

    /// Something that only entry points do; false where the choice fell on none of it.
    pub(crate) fn shared_statement(&mut self, out: &mut Vec<Stmt>) -> bool {
        if self.choices.chance(10) {
            self.storage_atomic(out);
            return true;
        }
        if self.choices.chance(8) {
            self.workgroup_atomic(out);
            return true;
        }
        if self.features.subgroups && self.choices.chance(10) {
            self.subgroup(out);
            return true;
        }
        false
    }

    fn storage_atomic(&mut self, out: &mut Vec<Stmt>) {
        let value = self.expr(U32, 2).text;
        let signed = self.expr(I32, 2).text;
        let what = match self.choices.pick(ATOMICS) {
            "atomicLoad" => "ticket",
            "atomicExchange" if self.sharing.over => "ticket",
            what => what,
        };
        self.count(what);
        out.push(Stmt::Line(match what {
            "atomicAdd" => format!("atomicAdd(&counters[0], {value}); atomicAdd(&signed_counters[0], {signed});"),
            "atomicSub" => format!("atomicSub(&counters[0], {value}); atomicSub(&signed_counters[0], {signed});"),
            "atomicAnd" => format!("atomicAnd(&counters[1], {value});"),
            "atomicOr" => format!("atomicOr(&counters[2], {value});"),
            "atomicXor" => format!("atomicXor(&counters[3], {value}); atomicXor(&signed_counters[3], {signed});"),
            "atomicMax" => format!("atomicMax(&counters[4], {value}); atomicMax(&signed_counters[1], {signed});"),
            "atomicMin" => format!("atomicMin(&counters[5], {value}); atomicMin(&signed_counters[2], {signed});"),
            "atomicStore" => "atomicStore(&counters[10], 9u);".to_owned(),
            // All values that pass through the cell, but for the last, meet in the xor; the last follows
            // at the end.
            "atomicExchange" => format!("atomicXor(&counters[9], atomicExchange(&swap, {value}));"),
            "atomicCompareExchangeWeak" => {
                "loop { let old = atomicLoad(&counters[8]); if atomicCompareExchangeWeak(&counters[8], old, old * 5u + 3u).exchanged { break; } }".to_owned()
            }
            // Nobody knows who draws which ticket, but all are drawn.
            _ => "{ let t = atomicAdd(&counters[6], 1u); atomicAdd(&counters[7], t * 7u + (t ^ 5u)); }".to_owned(),
        }));
    }

    fn workgroup_atomic(&mut self, out: &mut Vec<Stmt>) {
        if self.sharing.atomics_read {
            self.count("atomicLoad");
            let name = self.name("v");
            out.push(Stmt::Line(format!("let {name} = atomicLoad(&flags[{}]);", self.choices.below(6))));
            self.scope.push(Var::value(name, Shape::Leaf(U32), Class::UNIT));
            return;
        }
        let value = self.expr(U32, 2).text;
        let at = self.choices.below(6);
        let what = ["atomicAdd", "atomicAnd", "atomicOr", "atomicXor", "atomicMax", "atomicMin"][at];
        self.count(what);
        out.push(Stmt::Line(format!("{what}(&flags[{at}], {value});")));
    }

    fn subgroup(&mut self, out: &mut Vec<Stmt>) {
        let what = self.choose(SUBGROUPS);
        let value = self.expr(U32, 2);
        let value = if value.constant { "lane" } else { &value.text };
        let text = match what {
            "subgroupBallot" => format!("subgroupBallot({value} > 3u).x"),
            "subgroupAll" | "subgroupAny" => format!("u32({what}({value} > 3u))"),
            "subgroupShuffleXor" | "subgroupShuffleUp" | "subgroupShuffleDown" => format!("{what}({value}, 3u)"),
            "subgroupShuffle" => format!("{what}({value}, (lane * 3u) % 4u)"),
            _ => format!("{what}({value})"),
        };
        self.write_slot(&text, Scalar::U32, out);
    }

    /// A word that is the same in the whole workgroup.
    pub(crate) fn uniform(&mut self) -> String {
        let list = self.sharing.uniform.clone();
        list[self.choices.below(list.len())].clone()
    }

    pub(crate) fn uniform_load(&mut self, lanes: u32, out: &mut Vec<Stmt>) {
        self.count("workgroupUniformLoad");
        let value = self.expr(U32, 3).text;
        let writer = self.choices.below(lanes as usize);
        let name = self.name("u");
        out.push(Stmt::Line(format!("if local == {writer}u {{ chosen = {value}; }}")));
        out.push(Stmt::Fixed(format!("let {name} = workgroupUniformLoad(&chosen);")));
        self.sharing.uniform.push(name.clone());
        self.scope.push(Var::value(name, Shape::Leaf(Ty::Scalar(Scalar::U32)), Class::UNIT));
    }
}
