//! The device's memory: its bytes, and which commands use it. It is freed once and after the last command on it, no
//! command finds it gone, and there is never more of it than was agreed.
#![expect(unsafe_code, reason = "host memory of messages is reached by address")]

use std::{collections::HashMap, slice};

use crate::backend::{HostSpan, MemId, Op, Region, Source};

type Outcome<T> = Result<T, String>;

#[derive(Default)]
pub(super) struct Memories {
    /// Bytes of all at most.
    limit: Option<u64>,
    all: HashMap<MemId, Memory>,
    named: u64,
    /// The engine has given the device up: what is under way ends without effect, and may lose its memory.
    abandoned: bool,
    /// What was done wrong first.
    violation: Option<String>,
}

struct Memory {
    bytes: Vec<u8>,
    /// Unfinished commands that name it.
    commands: u32,
}

impl Memories {
    pub(super) fn new(limit: Option<u64>) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn in_use(&self) -> u64 {
        self.all.values().map(|memory| memory.bytes.len() as u64).sum()
    }

    pub(super) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
    }

    fn violated<T>(&mut self, what: String) -> Outcome<T> {
        self.violation.get_or_insert_with(|| what.clone());
        Err(what)
    }

    pub(super) fn alloc(&mut self, bytes: u64) -> Outcome<MemId> {
        let after = self.in_use() + bytes;
        if self.limit.is_some_and(|limit| after > limit) {
            return self.violated(format!("{after} bytes are out, {:?} were agreed", self.limit));
        }
        self.named += 1;
        let memory = Memory { bytes: vec![0; bytes as usize], commands: 0 };
        self.all.insert(MemId(self.named), memory);
        Ok(MemId(self.named))
    }

    pub(super) fn free(&mut self, mem: MemId) -> Outcome<()> {
        match self.all.remove(&mem) {
            None => self.violated(format!("{mem:?} is freed twice")),
            Some(Memory { commands, .. }) if commands > 0 && !self.abandoned => {
                self.violated(format!("{mem:?} is freed, and {commands} commands on it are not over"))
            }
            Some(_) => Ok(()),
        }
    }

    /// A command is submitted.
    pub(super) fn begin(&mut self, op: &Op) -> Outcome<()> {
        for Region { mem, .. } in regions(op).into_iter().flatten() {
            match self.all.get_mut(&mem) {
                Some(memory) => memory.commands += 1,
                None if self.abandoned => {}
                None => return self.violated(format!("a command comes for {mem:?}, which is freed")),
            }
        }
        Ok(())
    }

    /// It is over, and has had its effect where it went well.
    pub(super) fn end(&mut self, op: &Op, well: bool) {
        if self.abandoned {
            return;
        }
        if well {
            self.perform(op);
        }
        for Region { mem, .. } in regions(op).into_iter().flatten() {
            // Where it was freed too early that is known by now.
            if let Some(memory) = self.all.get_mut(&mem) {
                memory.commands -= 1;
            }
        }
    }

    fn perform(&mut self, op: &Op) {
        match op {
            Op::Upload { src: Source::Span(src) | Source::Carried(src), dst } => {
                if let Some(to) = self.part(dst) {
                    to.copy_from_slice(host(src, dst.bytes));
                }
            }
            Op::Download { src, dst } => {
                if let Some(from) = self.part(src) {
                    host(dst, src.bytes).copy_from_slice(from);
                }
            }
            _ => {}
        }
    }

    fn part(&mut self, region: &Region) -> Option<&mut [u8]> {
        let memory = self.all.get_mut(&region.mem)?;
        Some(&mut memory.bytes[region.offset as usize..][..region.bytes as usize])
    }
}

/// What a command touches.
fn regions(op: &Op) -> [Option<Region>; 2] {
    match op {
        Op::Upload { dst, src: Source::Span(_) | Source::Carried(_) } | Op::Clear { dst } => [Some(*dst), None],
        Op::Download { src, .. } => [Some(*src), None],
        Op::Copy { src, dst } => [Some(*src), Some(*dst)],
        Op::Nothing => [None; 2],
        Op::Upload { .. } | Op::Launch(_) | Op::Replay(_) | Op::Joined(_) => unreachable!("no scene has it"),
    }
}

fn host<'a>(span: &HostSpan, bytes: u64) -> &'a mut [u8] {
    // SAFETY: the span is the message's, valid for so many bytes and nobody else's until its end is reported
    // (invariant of `HostSpan`), which the caller does afterwards.
    unsafe { slice::from_raw_parts_mut(span.ptr, bytes as usize) }
}
