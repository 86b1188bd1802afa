//! More data than memory, through a kernel: sources, pipelines, and the jobs built of them.
//!
//! The built-in job is TPC-H's query 6 ([`q6`]): lineitem rows are made or read from Parquet
//! ([`source`]), stream through a device in batches, and the exact sum comes out.

mod columns;
mod error;
pub mod q6;
pub mod source;

pub use columns::{Columns, NAMES, ROW_BYTES, Rows};
pub use error::{Error, Result};
