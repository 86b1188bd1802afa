//! What can go wrong, as facts: each is one line that says what, where, and what would be right.

use std::{io, path::PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a job did not give its answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input cannot be opened or read.
    #[error("{}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The input is something else than Parquet.
    #[error("{}: not a Parquet file: {reason}", path.display())]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The input begins like Parquet and does not end like it.
    #[error("{}: truncated Parquet file: {bytes} bytes, and no footer at the end", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Bytes it has.
        bytes: u64,
    },
    /// A column that the job reads is not there.
    #[error("{}: no column `{column}`; there is {available}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: &'static str,
        /// The columns there are.
        available: String,
    },
    /// A column has another type than the job reads.
    #[error("{}: column `{column}` must be {expected}, is {got}", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// What the job reads.
        expected: &'static str,
        /// What the file says.
        got: String,
    },
    /// A column is compressed in a way that is not read here.
    #[error("{}: column `{column}` is compressed with {codec}; snappy, gzip, lz4, zstd and none are read", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The codec's name.
        codec: String,
    },
    /// A value is missing.
    #[error("{}: column `{column}`, row {row}: NULL, where a value is needed", path.display())]
    Null {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The row, from 0.
        row: u64,
    },
    /// A value does not fit what the job computes with.
    #[error("{}: column `{column}`, row {row}: {value} {reason}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The row, from 0.
        row: u64,
        /// The value as the file has it.
        value: String,
        /// Why it does not fit.
        reason: &'static str,
    },
    /// A column's pages cannot be decoded.
    #[error("{}: column `{column}`, at row {row}: {reason}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The first row that was not read, from 0.
        row: u64,
        /// The decoder's words.
        reason: String,
    },
    /// A scale factor for which there is no data.
    #[error(
        "scale {scale}: must be 0, or a number from {least} to {most}",
        least = crate::source::Lineitem::LEAST_SCALE,
        most = crate::source::Lineitem::MOST_SCALE
    )]
    Scale {
        /// The scale factor asked for.
        scale: f64,
    },
    /// The memory bound leaves no room for the pipeline.
    #[error("{asked_bytes} bytes of memory are too few, {minimum_bytes} are the least")]
    MemoryTooSmall {
        /// Bytes allowed.
        asked_bytes: u64,
        /// The fewest bytes that would do.
        minimum_bytes: u64,
    },
    /// The device refused or failed.
    #[error(transparent)]
    Device(#[from] wharf::Error),
    /// A result came twice: a bug of ours, found before it was counted.
    #[error("the rows from row {row} of unit {unit} on were committed before")]
    CommittedTwice {
        /// The unit of the source.
        unit: usize,
        /// Its row, from 0.
        row: u64,
    },
    /// A worker thread panicked: a bug of ours.
    #[error("a worker thread panicked")]
    Worker,
    /// Somebody asked the job to stop.
    #[error("interrupted after {rows} rows")]
    Interrupted {
        /// Rows whose results were merged.
        rows: u64,
    },
}

impl Error {
    /// Whether the same job may succeed when it is tried again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Read { cause, .. } => !matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::IsADirectory
            ),
            Self::Device(error) => matches!(
                error,
                wharf::Error::OutOfMemory { .. }
                    | wharf::Error::Device { .. }
                    | wharf::Error::Refused { .. }
                    | wharf::Error::Transfer(_)
            ),
            Self::Interrupted { .. } => true,
            _ => false,
        }
    }
}
