//! Who touched each piece of memory, as far as races need to know.
//!
//! Workgroups run one after another, so of the earlier ones one access of each sort is enough. Within a
//! workgroup a barrier orders everything before it; since the last one, two different invocations of
//! each sort are enough to notice any conflict with a third access; so are two of different subgroups, or of one
//! subgroup since its last barrier of its own.

use crate::ir::SUBGROUP;

/// An access: the lane plus one, or zero where there is none, and its place in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    pub lane: u16,
    pub site: u16,
}

impl Access {
    /// The subgroup of its lane.
    fn subgroup(self) -> u32 {
        (u32::from(self.lane) - 1) / SUBGROUP
    }
}

/// What an access is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Read,
    Write,
    Atomic,
}

/// The history of one scalar's place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shadow {
    /// The workgroup that touched it last, plus one.
    group: u32,
    epoch: u32,
    /// Since the last barrier: up to two different invocations of each sort, by `Sort`.
    now: [[Access; 2]; 3],
    /// How many subgroup barriers their subgroups had passed.
    turns: [[u16; 2]; 3],
    /// The first of each sort in this workgroup.
    own: [Access; 3],
    /// One of each sort in earlier workgroups, and which.
    earlier: [(Access, u32); 3],
    /// Whether anything was written.
    pub written: bool,
}

/// Who an access conflicts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub access: Access,
    /// The other workgroup, plus one; zero for the same.
    pub group: u32,
}

impl Shadow {
    /// Notes an access and answers what it conflicts with.
    ///
    /// `turn` counts the subgroup barriers that the invocation's subgroup has passed: they order the
    /// invocations of one subgroup.
    pub(super) fn touch(
        &mut self,
        sort: Sort,
        access: Access,
        (group, epoch): (u32, u32),
        turn: u16,
    ) -> Option<Conflict> {
        if self.group != group {
            for (earlier, own) in self.earlier.iter_mut().zip(self.own) {
                if own.lane != 0 {
                    *earlier = (own, self.group);
                }
            }
            *self = Self { group, epoch, earlier: self.earlier, written: self.written, ..Self::default() };
        } else if self.epoch != epoch {
            self.epoch = epoch;
            self.now = Default::default();
            self.turns = Default::default();
        }
        let against: &[Sort] = match sort {
            Sort::Read => &[Sort::Write, Sort::Atomic],
            Sort::Write => &[Sort::Write, Sort::Read, Sort::Atomic],
            Sort::Atomic => &[Sort::Write, Sort::Read],
        };
        let mut conflict = None;
        for &other in against {
            let mut known = self.now[other as usize].iter().zip(self.turns[other as usize]);
            let near = known.find(|&(before, then)| {
                before.lane != 0
                    && before.lane != access.lane
                    && (then == turn || before.subgroup() != access.subgroup())
            });
            if let Some((&access, _)) = near {
                conflict = Some(Conflict { access, group: 0 });
                break;
            }
            let (far, far_group) = self.earlier[other as usize];
            if far.lane != 0 {
                conflict = Some(Conflict { access: far, group: far_group });
                break;
            }
        }
        self.keep(sort, access, turn);
        if self.own[sort as usize].lane == 0 {
            self.own[sort as usize] = access;
        }
        conflict
    }

    /// Keeps two of a sort, such that whoever conflicts with any conflicts with one of them: of different
    /// subgroups, or two of one subgroup since its last barrier.
    fn keep(&mut self, sort: Sort, access: Access, turn: u16) {
        let (now, turns) = (&mut self.now[sort as usize], &mut self.turns[sort as usize]);
        if now[0].lane == 0 {
            (now[0], turns[0]) = (access, turn);
            return;
        }
        let home = now[0].subgroup();
        if now[1].lane != 0 && now[1].subgroup() != home {
            return;
        }
        if access.subgroup() != home {
            (now[1], turns[1]) = (access, turn);
        } else if turns[0] != turn {
            // Those before are ordered with this subgroup, and this one stands for them to the others.
            (*now, *turns) = ([access, Access::default()], [turn, 0]);
        } else if now[1].lane == 0 && now[0].lane != access.lane {
            (now[1], turns[1]) = (access, turn);
        }
    }
}

/// Cells of one page.
const PAGE: usize = 1024;

/// Shadows of a whole memory; pages appear when they are touched.
#[derive(Debug, Default)]
pub(super) struct Table {
    pages: Vec<Option<Box<[Shadow]>>>,
    /// Bytes or words that one cell stands for.
    pub unit: u32,
    /// What a cell knows before it is touched.
    fresh: Shadow,
}

impl Table {
    pub(super) fn new(len: usize, unit: u32, written: bool) -> Self {
        let cells = len.div_ceil(unit as usize);
        let fresh = Shadow { written, ..Shadow::default() };
        Self { pages: (0..cells.div_ceil(PAGE)).map(|_| None).collect(), unit, fresh }
    }

    /// The shadow of the cell at an address, or none where the memory ends before.
    pub(super) fn at(&mut self, address: usize) -> Option<&mut Shadow> {
        let cell = address / self.unit as usize;
        let fresh = self.fresh;
        let page = self.pages.get_mut(cell / PAGE)?;
        let page = page.get_or_insert_with(|| vec![fresh; PAGE].into_boxed_slice());
        page.get_mut(cell % PAGE)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.pages.iter_mut().for_each(|page| *page = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(lane: u16) -> Access {
        Access { lane, site: 0 }
    }

    #[test]
    fn a_barrier_orders_what_is_in_one_workgroup() {
        let mut cell = Shadow::default();
        assert_eq!(cell.touch(Sort::Write, by(1), (1, 0), 0), None);
        assert_eq!(cell.touch(Sort::Read, by(1), (1, 0), 0), None);
        assert_eq!(cell.touch(Sort::Read, by(2), (1, 1), 0), None);
        assert_eq!(cell.touch(Sort::Read, by(3), (1, 1), 0), None);
        assert!(cell.touch(Sort::Write, by(2), (1, 1), 0).is_some(), "lane 3 reads it too");
        assert!(cell.touch(Sort::Read, by(3), (1, 1), 0).is_some());
        assert_eq!(cell.touch(Sort::Write, by(9), (1, 2), 0), None);
    }

    #[test]
    fn nothing_orders_two_workgroups() {
        let mut cell = Shadow::default();
        assert_eq!(cell.touch(Sort::Write, by(1), (1, 0), 0), None);
        let conflict = cell.touch(Sort::Read, by(1), (2, 5), 0).unwrap();
        assert_eq!((conflict.access.lane, conflict.group), (1, 1));
        let mut cell = Shadow::default();
        assert_eq!(cell.touch(Sort::Read, by(1), (1, 0), 0), None);
        assert_eq!(cell.touch(Sort::Read, by(1), (2, 0), 0), None);
        assert_eq!(cell.touch(Sort::Write, by(1), (3, 0), 0).map(|found| found.group), Some(2));
    }

    #[test]
    fn atomics_conflict_with_plain_accesses_only() {
        let mut cell = Shadow::default();
        assert_eq!(cell.touch(Sort::Atomic, by(1), (1, 0), 0), None);
        assert_eq!(cell.touch(Sort::Atomic, by(2), (1, 0), 0), None);
        assert_eq!(cell.touch(Sort::Atomic, by(2), (2, 0), 0), None);
        assert!(cell.touch(Sort::Read, by(2), (2, 0), 0).is_some());
    }

    #[test]
    fn a_subgroup_barrier_orders_one_subgroup_only() {
        let group = (1, 0);
        let mut cell = Shadow::default();
        assert_eq!(cell.touch(Sort::Write, by(1), group, 0), None);
        assert_eq!(cell.touch(Sort::Read, by(2), group, 1), None);
        assert_eq!(cell.touch(Sort::Read, by(3), group, 1), None);
        assert!(cell.touch(Sort::Write, by(2), group, 1).is_some(), "lane 3 reads it meanwhile");
        let mut cell = Shadow::default();
        assert_eq!(cell.touch(Sort::Write, by(1), group, 0), None);
        assert!(cell.touch(Sort::Read, by(17), group, 1).is_some(), "another subgroup");
        // Of three readers one is of another subgroup, and must not be forgotten.
        let mut cell = Shadow::default();
        for lane in [1, 2, 40] {
            assert_eq!(cell.touch(Sort::Read, by(lane), group, 0), None);
        }
        assert_eq!(cell.touch(Sort::Write, by(1), group, 1).map(|found| found.access.lane), Some(40));
    }
}
