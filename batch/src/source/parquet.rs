//! Lineitem in a Parquet file: four columns, decoded piece by piece into the caller's memory.
//!
//! Source: Apache Parquet format, "Logical Types" (DATE, DECIMAL).

mod check;
mod convert;

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use ::parquet::{
    errors::ParquetError,
    file::{reader::FileReader, serialized_reader::SerializedFileReader},
};

use self::{check::Field, convert::ColumnCursor};
use super::{ReadUnit, Source};
use crate::{
    columns::{Columns, NAMES},
    error::{Error, Result},
};

/// A Parquet file with lineitem's four columns: DATE as INT32; decimals as INT32, INT64,
/// FIXED_LEN_BYTE_ARRAY, BYTE_ARRAY or DOUBLE.
#[derive(Debug)]
pub struct ParquetFile {
    path: PathBuf,
    fields: [Field; 4],
    /// The first row of each row group, and the rows in all.
    first_rows: Vec<u64>,
}

impl ParquetFile {
    /// Opens a file and checks its columns.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::NotParquet`], [`Error::Truncated`], [`Error::MissingColumn`],
    /// [`Error::ColumnType`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let file = open(&path)?;
        let metadata = file.metadata();
        let fields = check::fields(&path, metadata.file_metadata().schema_descr())?;
        let mut first_rows = vec![0_u64];
        for group in metadata.row_groups() {
            check::codecs(&path, &fields, group)?;
            let rows = u64::try_from(group.num_rows()).map_err(|_| Error::NotParquet {
                path: path.clone(),
                reason: format!("a row group of {} rows", group.num_rows()),
            })?;
            first_rows.push(first_rows.last().copied().unwrap_or_default().saturating_add(rows));
        }
        Ok(Self { path, fields, first_rows })
    }
}

impl Source for ParquetFile {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn rows_expected(&self) -> u64 {
        self.first_rows.last().copied().unwrap_or_default()
    }

    fn units(&self) -> usize {
        self.first_rows.len() - 1
    }

    fn open(&self) -> Result<Box<dyn ReadUnit + '_>> {
        Ok(Box::new(Groups { table: self, file: open(&self.path)?, group: None }))
    }
}

fn open(path: &Path) -> Result<SerializedFileReader<File>> {
    let unreadable = |cause| Error::Read { path: path.to_owned(), cause };
    let mut file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let mut magic = [0; 4];
    let is_magic = |file: &mut File, magic: &mut [u8; 4]| match file.read_exact(magic) {
        Ok(()) => Ok(magic == b"PAR1"),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(unreadable(e)),
    };
    if !is_magic(&mut file, &mut magic)? {
        let reason = format!("it does not begin with PAR1 ({bytes} bytes)");
        return Err(Error::NotParquet { path: path.to_owned(), reason });
    }
    file.seek(SeekFrom::End(-4)).map_err(unreadable)?;
    if bytes < 12 || !is_magic(&mut file, &mut magic)? {
        return Err(Error::Truncated { path: path.to_owned(), bytes });
    }
    let not_parquet = |e: ParquetError| Error::NotParquet { path: path.to_owned(), reason: one_line(&e) };
    guarded(|| SerializedFileReader::new(file)).map_err(not_parquet)
}

/// The decoder asserts on some broken files; a broken file is an error like any other.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ParquetError::General("the decoder gave up on these bytes".to_owned())))
}

fn one_line(error: &ParquetError) -> String {
    error.to_string().replace('\n', " ")
}

struct Groups<'a> {
    table: &'a ParquetFile,
    file: SerializedFileReader<File>,
    group: Option<Group>,
}

/// The row group being read.
struct Group {
    cursors: [ColumnCursor; 4],
    next_row: u64,
    end: u64,
}

impl ReadUnit for Groups<'_> {
    fn start(&mut self, unit: usize) -> Result<()> {
        let (first_row, end) = (self.table.first_rows[unit], self.table.first_rows[unit + 1]);
        let failed = |column, e: &ParquetError| Error::Decode {
            path: self.table.path.clone(),
            column,
            row: first_row,
            reason: one_line(e),
        };
        let group = guarded(|| self.file.get_row_group(unit)).map_err(|e| failed(NAMES[0], &e))?;
        let cursor = |of: usize| {
            let field = self.table.fields[of];
            guarded(|| group.get_column_reader(field.index))
                .map(|reader| ColumnCursor::new(&self.table.path, field, reader))
                .map_err(|e| failed(field.name, &e))
        };
        let cursors = [cursor(0)?, cursor(1)?, cursor(2)?, cursor(3)?];
        self.group = Some(Group { cursors, next_row: first_row, end });
        Ok(())
    }

    fn fill(&mut self, columns: &mut Columns<'_>) -> Result<usize> {
        let Some(group) = &mut self.group else { return Ok(0) };
        let room = columns.room();
        let take = usize::try_from(group.end - group.next_row).unwrap_or(room).min(room);
        let part = columns.part(0, take);
        let targets = [part.shipdate, part.discount, part.quantity, part.extendedprice];
        for (cursor, target) in group.cursors.iter_mut().zip(targets) {
            cursor.read(group.next_row, target)?;
        }
        group.next_row += take as u64;
        Ok(take)
    }
}
