//! Who touched each piece of memory, as far as races need to know.
//!
//! Workgroups run one after another, so of the earlier ones one access of each sort is enough. Within a
//! workgroup a barrier orders everything before it; since the last one, two different invocations of
//! each sort are enough to notice any conflict with a third access.

/// An access: the lane plus one, or zero where there is none, and its place in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    pub lane: u16,
    pub site: u16,
}

impl Access {
    fn is_other(self, lane: u16) -> bool {
        self.lane != 0 && self.lane != lane
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
    pub(super) fn touch(&mut self, sort: Sort, access: Access, group: u32, epoch: u32) -> Option<Conflict> {
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
        }
        let against: &[Sort] = match sort {
            Sort::Read => &[Sort::Write, Sort::Atomic],
            Sort::Write => &[Sort::Write, Sort::Read, Sort::Atomic],
            Sort::Atomic => &[Sort::Write, Sort::Read],
        };
        let mut conflict = None;
        for &other in against {
            let near = self.now[other as usize].iter().find(|before| before.is_other(access.lane));
            if let Some(&access) = near {
                conflict = Some(Conflict { access, group: 0 });
                break;
            }
            let (far, far_group) = self.earlier[other as usize];
            if far.lane != 0 {
                conflict = Some(Conflict { access: far, group: far_group });
                break;
            }
        }
        let now = &mut self.now[sort as usize];
        if now[0].lane == 0 {
            now[0] = access;
        } else if now[0].lane != access.lane && now[1].lane == 0 {
            now[1] = access;
        }
        if self.own[sort as usize].lane == 0 {
            self.own[sort as usize] = access;
        }
        conflict
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
        assert_eq!(cell.touch(Sort::Write, by(1), 1, 0), None);
        assert_eq!(cell.touch(Sort::Read, by(1), 1, 0), None);
        assert_eq!(cell.touch(Sort::Read, by(2), 1, 1), None);
        assert_eq!(cell.touch(Sort::Read, by(3), 1, 1), None);
        assert!(cell.touch(Sort::Write, by(2), 1, 1).is_some(), "lane 3 reads it too");
        assert!(cell.touch(Sort::Read, by(3), 1, 1).is_some());
        assert_eq!(cell.touch(Sort::Write, by(9), 1, 2), None);
    }

    #[test]
    fn nothing_orders_two_workgroups() {
        let mut cell = Shadow::default();
        assert_eq!(cell.touch(Sort::Write, by(1), 1, 0), None);
        let conflict = cell.touch(Sort::Read, by(1), 2, 5).unwrap();
        assert_eq!((conflict.access.lane, conflict.group), (1, 1));
        let mut cell = Shadow::default();
        assert_eq!(cell.touch(Sort::Read, by(1), 1, 0), None);
        assert_eq!(cell.touch(Sort::Read, by(1), 2, 0), None);
        assert_eq!(cell.touch(Sort::Write, by(1), 3, 0).map(|found| found.group), Some(2));
    }

    #[test]
    fn atomics_conflict_with_plain_accesses_only() {
        let mut cell = Shadow::default();
        assert_eq!(cell.touch(Sort::Atomic, by(1), 1, 0), None);
        assert_eq!(cell.touch(Sort::Atomic, by(2), 1, 0), None);
        assert_eq!(cell.touch(Sort::Atomic, by(2), 2, 0), None);
        assert!(cell.touch(Sort::Read, by(2), 2, 0).is_some());
    }
}
