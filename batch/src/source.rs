//! Where rows come from. A [`Source`] is cut into units (orders, row groups); the [`Reader`]s of one
//! [`Pass`] share them, so that all cores work and each row comes once.

mod lineitem;
mod parquet;
mod span;

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

pub use self::{
    lineitem::Lineitem,
    parquet::ParquetFile,
    span::{Committed, Span},
};
use crate::{columns::Columns, error::Result};

/// A table of lineitem rows.
pub trait Source: Sync + fmt::Debug {
    /// What it is, for reports.
    fn name(&self) -> String;

    /// Rows there are; a near guess where only reading tells.
    fn rows_expected(&self) -> u64;

    /// Pieces that can be read side by side, each by its number. A unit has the same rows in the same
    /// order whenever it is read.
    fn units(&self) -> usize;

    /// Something that reads units, for one thread.
    ///
    /// # Errors
    /// Where the input cannot be opened any more.
    fn open(&self) -> Result<Box<dyn ReadUnit + '_>>;
}

/// Reads one unit of a source after another.
pub trait ReadUnit: Send {
    /// Goes to the first row of a unit.
    ///
    /// # Errors
    /// Where the input cannot be read.
    fn start(&mut self, unit: usize) -> Result<()>;

    /// Writes the unit's next rows to the front of `columns` and says how many: fewer than there is
    /// room for only at the unit's end.
    ///
    /// # Errors
    /// Where the input cannot be read, or a value in it does not fit; the error names the row.
    fn fill(&mut self, columns: &mut Columns<'_>) -> Result<usize>;
}

/// One pass over some rows of a source: which of them were taken already.
#[derive(Debug)]
pub struct Pass {
    next: AtomicUsize,
    spans: Vec<Span>,
}

impl Pass {
    /// A pass over all of `source`.
    pub fn over(source: &dyn Source) -> Self {
        Self::without(source, &Committed::default())
    }

    /// A pass over what of `source` is not committed yet.
    pub fn without(source: &dyn Source, committed: &Committed) -> Self {
        Self { next: AtomicUsize::new(0), spans: committed.rest(source.units()) }
    }

    /// The next rows that nobody has taken.
    fn take(&self) -> Option<Span> {
        self.spans.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

/// One of the readers that share a pass over a source.
pub struct Reader<'a> {
    unit: Box<dyn ReadUnit + 'a>,
    pass: &'a Pass,
    /// What is left of the span being read.
    left: Option<Span>,
}

/// What a reader has written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filled {
    /// How many rows.
    pub rows: usize,
    /// Which.
    pub spans: Vec<Span>,
}

/// Rows that are read at a time only to come past them.
const SKIPPED_AT_ONCE: usize = 1 << 14;

impl<'a> Reader<'a> {
    /// One more reader of `pass` over `source`.
    ///
    /// # Errors
    /// Where the input cannot be opened any more.
    pub fn new(source: &'a dyn Source, pass: &'a Pass) -> Result<Self> {
        Ok(Self { unit: source.open()?, pass, left: None })
    }

    /// Writes rows to the front of `columns`: fewer than there is room for only where this reader has no
    /// more, and then none from there on.
    ///
    /// # Errors
    /// Where the input cannot be read, or a value in it does not fit; the error names the row.
    pub fn fill(&mut self, columns: &mut Columns<'_>) -> Result<Filled> {
        let room = columns.room();
        let mut filled = Filled::default();
        while filled.rows < room {
            let Some(mut span) = self.next_span()? else { break };
            let most = usize::try_from(span.end - span.start).unwrap_or(room).min(room - filled.rows);
            let read = self.unit.fill(&mut columns.part(filled.rows, most))?;
            filled.rows += read;
            let here = span.start + read as u64;
            // A unit that has ended has been read to its end, wherever that is.
            let end = if read < most { Span::TO_THE_END } else { here };
            filled.spans.push(Span { end, ..span });
            span.start = end;
            self.left = (span.start < span.end).then_some(span);
        }
        Ok(filled)
    }

    fn next_span(&mut self) -> Result<Option<Span>> {
        if self.left.is_some() {
            return Ok(self.left);
        }
        let Some(span) = self.pass.take() else { return Ok(None) };
        self.unit.start(span.unit)?;
        let mut skip = usize::try_from(span.start).unwrap_or(usize::MAX);
        let mut past = [(); 4].map(|()| vec![0; skip.min(SKIPPED_AT_ONCE)]);
        while skip > 0 {
            let most = skip.min(SKIPPED_AT_ONCE);
            let [shipdate, discount, quantity, extendedprice] = past.each_mut().map(|column| &mut column[..most]);
            let read = self.unit.fill(&mut Columns { shipdate, discount, quantity, extendedprice })?;
            skip -= read;
            if read < most {
                break;
            }
        }
        Ok(Some(span))
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("left", &self.left).finish_non_exhaustive()
    }
}
