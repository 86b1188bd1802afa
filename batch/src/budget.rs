//! How many rows travel in a batch and how many batches at once, inside a memory bound.

use wharf::{BackendKind, Capabilities};

use crate::{
    columns::ROW_BYTES,
    error::{Error, Result},
};

/// The shape of a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Threads that make or decode rows.
    pub workers: usize,
    /// Batches in flight: one for each worker, one on its way to the device, one in the kernel.
    pub slots: usize,
    /// Rows of a batch.
    pub rows: usize,
}

impl Budget {
    /// Bytes of staging that a pipeline may hold unless said otherwise: 256 MiB.
    pub const MEMORY_BYTES: u64 = 256 << 20;
    /// Batches of 4 MiB: large against the cost of a message, small against the caches and the run.
    const MOST_ROWS: u64 = 1 << 18;
    /// Batches of 2 MiB where the device is the host's cores: those of a run stay in their caches, from where the
    /// kernel has them sooner than a message costs.
    const MOST_ROWS_ON_HOST: usize = 1 << 17;
    /// Below this the messages cost more than their contents.
    const FEWEST_ROWS: u64 = 1 << 12;

    /// The largest batches that fit `memory_bytes` of staging, with as many workers as that leaves
    /// room for.
    ///
    /// # Errors
    /// [`Error::MemoryTooSmall`], which says how much would do.
    pub fn within(memory_bytes: u64, workers: usize) -> Result<Self> {
        let row_bytes = |workers: usize| (workers as u64 + 2) * ROW_BYTES;
        let room = |workers: usize| (memory_bytes / row_bytes(workers)).min(Self::MOST_ROWS);
        let fits = |workers: &usize| room(*workers) >= Self::FEWEST_ROWS;
        let Some(workers) = (1..=workers.max(1)).rev().find(fits) else {
            let minimum_bytes = Self::FEWEST_ROWS * row_bytes(1);
            return Err(Error::MemoryTooSmall { asked_bytes: memory_bytes, minimum_bytes });
        };
        let rows = room(workers) / Self::FEWEST_ROWS * Self::FEWEST_ROWS;
        Ok(Self { workers, slots: workers + 2, rows: rows as usize })
    }

    /// The same with batches that are not too large for the device.
    pub(crate) fn on(self, device: &Capabilities) -> Self {
        let most = if device.backend == BackendKind::Cpu { Self::MOST_ROWS_ON_HOST } else { self.rows };
        Self { rows: self.rows.min(most), ..self }
    }

    /// The same with batches of half the rows; `None` where they are as small as they may be.
    pub(crate) fn halved(self) -> Option<Self> {
        let rows = self.rows / 2 / Self::FEWEST_ROWS as usize * Self::FEWEST_ROWS as usize;
        (rows > 0).then_some(Self { rows, ..self })
    }

    /// The most bytes of staging it can hold.
    pub fn staging_bytes(&self) -> u64 {
        self.slots as u64 * self.rows as u64 * ROW_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_never_passes_its_memory() {
        for workers in [1, 2, 7, 64] {
            let Err(Error::MemoryTooSmall { minimum_bytes, .. }) = Budget::within(0, workers) else {
                panic!("nothing fits in nothing");
            };
            assert!(Budget::within(minimum_bytes - 1, workers).is_err());
            for memory in [minimum_bytes, minimum_bytes * 3 - 1, 10 << 20, Budget::MEMORY_BYTES] {
                let budget = Budget::within(memory, workers).expect("room");
                assert!(budget.staging_bytes() <= memory, "{budget:?} in {memory}");
            }
        }
    }

    #[test]
    fn batches_on_the_hosts_cores_are_no_larger_than_caches_like() -> wharf::Result<()> {
        let device = wharf::Device::open("cpu")?;
        for (memory, bytes) in [(Budget::MEMORY_BYTES, 2 << 20), (4 << 20, 1 << 20)] {
            let budget = Budget::within(memory, 2).expect("room").on(device.capabilities());
            assert_eq!((budget.rows as u64 * ROW_BYTES, budget.slots), (bytes, 4));
        }
        let mut card = device.capabilities().clone();
        card.backend = BackendKind::Wgpu;
        let budget = Budget::within(Budget::MEMORY_BYTES, 2).expect("room");
        assert_eq!(budget.on(&card), budget);
        Ok(())
    }

    #[test]
    fn a_budget_is_halved_down_to_the_fewest_rows() {
        let mut budget = Budget::within(Budget::MEMORY_BYTES, 2).expect("room");
        let mut rows = vec![budget.rows];
        while let Some(smaller) = budget.halved() {
            budget = smaller;
            rows.push(budget.rows);
        }
        assert_eq!(rows, [1 << 18, 1 << 17, 1 << 16, 1 << 15, 1 << 14, 1 << 13, 1 << 12]);
    }
}
