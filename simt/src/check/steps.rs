//! How many instructions each invocation took.

use std::cell::Cell;

/// Counts for the lanes of a workgroup.
#[derive(Debug)]
pub(super) struct Steps {
    most: u64,
    /// Taken by all.
    all: u64,
    /// Taken by each beside these.
    own: Vec<u64>,
    /// None of `own` is above.
    bound: u64,
}

impl Steps {
    pub(super) fn new(lanes: usize, most: u64) -> Self {
        Self { most, all: 0, own: vec![0; lanes], bound: 0 }
    }

    pub(super) fn start(&mut self) {
        (self.all, self.bound) = (0, 0);
        self.own.fill(0);
    }

    /// So many steps of the lanes in `mask`, which may be `full`.
    pub(super) fn spend(&mut self, steps: u64, mask: &[Cell<u32>], full: bool) {
        if full {
            self.all += steps;
            return;
        }
        self.bound += steps;
        for (own, mask) in self.own.iter_mut().zip(mask) {
            *own += if mask.get() != 0 { steps } else { 0 };
        }
    }

    /// A lane in `mask` that has taken more than it may.
    pub(super) fn over(&mut self, mask: &[Cell<u32>]) -> Option<usize> {
        if self.all + self.bound <= self.most {
            return None;
        }
        self.bound = self.own.iter().copied().max().unwrap_or(0);
        let (all, most) = (self.all, self.most);
        self.own.iter().zip(mask).position(|(own, mask)| mask.get() != 0 && all + own > most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_pays_for_itself() {
        let mut steps = Steps::new(2, 10);
        let [both, first, second] = [[1, 1], [1, 0], [0, 1]].map(|mask| mask.map(Cell::new));
        steps.spend(4, &both, true);
        steps.spend(6, &first, false);
        steps.spend(6, &second, false);
        assert_eq!(steps.over(&both), None);
        steps.spend(1, &second, false);
        assert_eq!((steps.over(&first), steps.over(&both)), (None, Some(1)));
    }
}
