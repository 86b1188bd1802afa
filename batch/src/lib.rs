//! More data than memory, through a kernel: sources, pipelines, and the jobs built of them.
//!
//! The built-in job is TPC-H's query 6 ([`q6`]): lineitem rows are made or read from Parquet
//! ([`source`]), stream through a device in batches, and the exact sum comes out.

mod budget;
mod columns;
pub mod compare;
mod error;
pub mod overlap;
mod pipeline;
pub mod q6;
mod report;
pub mod source;

pub use budget::Budget;
pub use columns::{Columns, NAMES, ROW_BYTES, Rows};
pub use error::{Error, Result};
pub use pipeline::{Options, run};
pub use report::Report;
