//! More data than memory, through a kernel: sources, pipelines, and the jobs built of them.
//!
//! The built-in job is TPC-H's query 6 ([`q6`]): lineitem rows are made or read from Parquet
//! ([`source`]), stream through a device in batches, and the exact sum comes out.
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//! use wharf::Device;
//! use wharf_batch::{Budget, Options, no_fallback, q6::Query, run, source::Lineitem};
//!
//! let device = Device::open("cpu")?;
//! let rows = Lineitem::new(0.01)?;
//! let stop = AtomicBool::new(false);
//! let memory_bytes = Budget::MEMORY_BYTES;
//! let options = Options { memory_bytes, stop: &stop, progress: &|_rows| (), fallback: &no_fallback };
//! let report = run(&device, &rows, &Query::VALIDATION, &options)?;
//! assert_eq!(report.answer.to_string(), "1193053.2253");
//! assert!(report.peak_staging_bytes <= Budget::MEMORY_BYTES);
//! # Ok::<(), wharf_batch::Error>(())
//! ```
//!
//! Figures on rows that are made here are derived from TPC-H; they are no TPC-H results.

mod budget;
mod columns;
pub mod compare;
mod error;
pub mod overlap;
mod pipeline;
pub mod q6;
mod report;
pub mod source;
mod verify;

pub use budget::Budget;
pub use columns::{Columns, NAMES, ROW_BYTES, Rows};
pub use error::{Error, Result};
pub use pipeline::{Fallback, Options, no_fallback, reopened, run, to_the_cpu};
pub use report::{Failure, Placement, Report, When};
pub use verify::answer_on_host;
