//! Where rows come from. A [`Source`] is cut into units (orders, row groups); the [`Reader`]s of one
//! pass share them, so that all cores work and each row comes once.

mod lineitem;
mod parquet;

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

pub use self::{lineitem::Lineitem, parquet::ParquetFile};
use crate::{columns::Columns, error::Result};

/// A table of lineitem rows.
pub trait Source: Sync + fmt::Debug {
    /// What it is, for reports.
    fn name(&self) -> String;

    /// Rows there are; a near guess where only reading tells.
    fn rows_expected(&self) -> u64;

    /// Pieces that can be read side by side.
    fn units(&self) -> usize;

    /// One more reader of the pass.
    ///
    /// # Errors
    /// Where the input cannot be opened any more.
    fn reader<'a>(&'a self, pass: &'a Pass) -> Result<Box<dyn Reader + 'a>>;
}

/// One of the readers that share a pass over a source.
pub trait Reader: Send {
    /// Writes rows to the front of `columns` and says how many: fewer than there is room for only
    /// where this reader has no more, and then 0 from there on.
    ///
    /// # Errors
    /// Where the input cannot be read, or a value in it does not fit; the error names the row.
    fn fill(&mut self, columns: &mut Columns<'_>) -> Result<usize>;
}

/// One pass over a source: which units were taken already.
#[derive(Debug)]
pub struct Pass {
    next: AtomicUsize,
    units: usize,
}

impl Pass {
    /// A pass over all of `source`.
    pub fn over(source: &dyn Source) -> Self {
        Self { next: AtomicUsize::new(0), units: source.units() }
    }

    /// The next unit that nobody has taken.
    pub fn take(&self) -> Option<usize> {
        let unit = self.next.fetch_add(1, Ordering::Relaxed);
        (unit < self.units).then_some(unit)
    }
}
