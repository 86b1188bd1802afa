//! Decoding one column chunk into 32-bit integers, exactly or not at all.

use std::path::{Path, PathBuf};

use ::parquet::{
    column::reader::{ColumnReader, ColumnReaderImpl},
    data_type::DataType,
    errors::ParquetError,
};

use super::{
    check::{Field, Unit},
    guarded, one_line,
};
use crate::error::{Error, Result};

/// Values decoded at a time: they stay in the first-level cache until they are converted.
const PIECE: usize = 2_048;

/// One column chunk, read from front to back.
pub(super) struct ColumnCursor {
    path: PathBuf,
    field: Field,
    reader: ColumnReader,
}

/// Why one value did not fit, before it is known in which row.
type Misfit = (String, &'static str);

impl ColumnCursor {
    pub(super) fn new(path: &Path, field: Field, reader: ColumnReader) -> Self {
        Self { path: path.to_owned(), field, reader }
    }

    /// Reads the next `target.len()` values; the first is row `row` of the file.
    pub(super) fn read(&mut self, row: u64, target: &mut [u32]) -> Result<()> {
        let place = Place { path: &self.path, field: self.field };
        let unit = self.field.unit;
        match &mut self.reader {
            ColumnReader::Int32ColumnReader(r) => place.read(r, row, target, |&v| whole(v.into(), unit)),
            ColumnReader::Int64ColumnReader(r) => place.read(r, row, target, |&v| whole(v.into(), unit)),
            ColumnReader::DoubleColumnReader(r) => place.read(r, row, target, |&v| float(v, unit)),
            ColumnReader::FixedLenByteArrayColumnReader(r) => {
                place.read(r, row, target, |v| big_endian(v.data()).and_then(|v| whole(v, unit)))
            }
            ColumnReader::ByteArrayColumnReader(r) => {
                place.read(r, row, target, |v| big_endian(v.data()).and_then(|v| whole(v, unit)))
            }
            _ => Err(place.undecodable(row, "a physical type that was not announced".to_owned())),
        }
    }
}

/// Names the column in errors.
struct Place<'a> {
    path: &'a Path,
    field: Field,
}

impl Place<'_> {
    fn read<T: DataType>(
        &self,
        reader: &mut ColumnReaderImpl<T>,
        first_row: u64,
        target: &mut [u32],
        convert: impl Fn(&T::T) -> Result<u32, Misfit>,
    ) -> Result<()> {
        let mut values: Vec<T::T> = Vec::with_capacity(PIECE);
        let mut levels: Vec<i16> = Vec::new();
        let mut done = 0;
        while done < target.len() {
            let row = first_row + done as u64;
            let want = PIECE.min(target.len() - done);
            values.clear();
            levels.clear();
            let wanted_levels = (self.field.defined > 0).then_some(&mut levels);
            let (records, got, _) = guarded(|| reader.read_records(want, wanted_levels, None, &mut values))
                .map_err(|e: ParquetError| self.undecodable(row, one_line(&e)))?;
            if records == 0 {
                let reason = format!("the column ends, {} rows early", target.len() - done);
                return Err(self.undecodable(row, reason));
            }
            if got < records {
                let null = levels.iter().position(|&level| level < self.field.defined).unwrap_or(0);
                let row = row + null as u64;
                return Err(Error::Null { path: self.path.to_owned(), column: self.field.name, row });
            }
            for (i, value) in values.iter().enumerate() {
                target[done + i] = convert(value).map_err(|(value, reason)| Error::Value {
                    path: self.path.to_owned(),
                    column: self.field.name,
                    row: row + i as u64,
                    value,
                    reason,
                })?;
            }
            done += records;
        }
        Ok(())
    }

    fn undecodable(&self, row: u64, reason: String) -> Error {
        Error::Decode { path: self.path.to_owned(), column: self.field.name, row, reason }
    }
}

fn whole(value: i128, unit: Unit) -> Result<u32, Misfit> {
    let ours = match unit {
        Unit::Times(by) => value.checked_mul(by),
        Unit::Over(by) if value % by != 0 => {
            return Err((format!("{value} / {by}"), "has more decimals than the job keeps"));
        }
        Unit::Over(by) => Some(value / by),
        Unit::Same | Unit::Float(_) => Some(value),
    };
    ours.and_then(|v| u32::try_from(v).ok()).ok_or_else(|| (value.to_string(), "is outside 0 to 2^32 - 1"))
}

/// A double stands for the decimal that it is within rounding of; that must be one of ours. Writers
/// divide by a power of ten or multiply by its reciprocal, which differ in the last bits.
fn float(value: f64, unit: Unit) -> Result<u32, Misfit> {
    let by = if let Unit::Float(by) = unit { by } else { 1.0 };
    let ours = (value * by).round();
    if !(0.0..=f64::from(u32::MAX)).contains(&ours) {
        return Err((value.to_string(), "is outside 0 to 2^32 - 1"));
    }
    if (value * by - ours).abs() > ours * 4.0 * f64::EPSILON {
        return Err((value.to_string(), "has more decimals than the job keeps"));
    }
    Ok(ours as u32)
}

/// A decimal's bytes: two's complement, the highest first.
fn big_endian(bytes: &[u8]) -> Result<i128, Misfit> {
    let negative = bytes.first().is_some_and(|&b| b >= 0x80);
    let fill = if negative { 0xff } else { 0 };
    let mut wide = [fill; 16];
    let excess = bytes.len().saturating_sub(16);
    if bytes[..excess].iter().any(|&b| b != fill) {
        return Err((format!("a decimal of {} bytes", bytes.len()), "is outside 0 to 2^32 - 1"));
    }
    let tail = &bytes[excess..];
    wide[16 - tail.len()..].copy_from_slice(tail);
    Ok(i128::from_be_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_convert_exactly_or_not_at_all() {
        assert_eq!(whole(2_400, Unit::Over(100)), Ok(24));
        assert!(whole(2_450, Unit::Over(100)).is_err(), "24.50 units are not whole");
        assert_eq!(whole(3, Unit::Times(100)), Ok(300));
        assert!(whole(-1, Unit::Same).is_err());
        assert!(whole(i128::MAX, Unit::Times(100)).is_err());
    }

    #[test]
    fn every_percent_and_many_prices_survive_a_double() {
        for cents in (0..=100).chain((0..10_500_000).step_by(997)) {
            assert_eq!(float(f64::from(cents) / 100.0, Unit::Float(100.0)), Ok(cents));
            assert_eq!(float(f64::from(cents) * 0.01, Unit::Float(100.0)), Ok(cents));
        }
        for bad in [0.055, 104_999.990_1, -0.01, f64::NAN, f64::INFINITY, 1e12] {
            assert!(float(bad, Unit::Float(100.0)).is_err(), "{bad}");
        }
    }

    #[test]
    fn big_endian_decimals_keep_their_sign() {
        assert_eq!(big_endian(&[]), Ok(0));
        assert_eq!(big_endian(&[1, 0]), Ok(256));
        assert_eq!(big_endian(&[0xff, 0xfe]), Ok(-2));
        assert_eq!(big_endian(&[0; 20]), Ok(0));
        assert!(big_endian(&[1; 20]).is_err());
    }
}
