//! Finding the four columns in a file's schema, and checking their types.

use std::path::Path;

use ::parquet::{
    basic::{Compression, ConvertedType, LogicalType, Type},
    file::metadata::RowGroupMetaData,
    schema::types::{ColumnDescriptor, SchemaDescriptor},
};

use crate::{
    columns::NAMES,
    error::{Error, Result},
};

/// Where a column is in the file, and what its numbers mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Its number among the file's leaf columns.
    pub(super) index: usize,
    /// The definition level of a value that is there; 0 where none may be missing.
    pub(super) defined: i16,
    pub(super) unit: Unit,
}

/// How a stored number becomes ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unit {
    /// As it is.
    Same,
    /// Times this (the file keeps fewer decimals than we).
    Times(i128),
    /// Divided by this, without remainder (the file keeps more decimals).
    Over(i128),
    /// A float, times this.
    Float(f64),
}

/// Decimals that our integers have: whole units 0, percent and cents 2.
const DECIMALS: [u32; 4] = [0, 2, 0, 2];
const EXPECTED_DATE: &str = "DATE (INT32)";
const EXPECTED_DECIMAL: &str = "DECIMAL or a whole number (INT32, INT64, BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY) or DOUBLE";

/// The four columns, in the order of [`NAMES`].
pub(super) fn fields(path: &Path, schema: &SchemaDescriptor) -> Result<[Field; 4]> {
    let find = |of: usize| {
        let name = NAMES[of];
        let found = schema.columns().iter().enumerate().find(|(_, c)| c.path().parts() == [name]);
        let Some((index, column)) = found else {
            let available: Vec<_> = schema.columns().iter().map(|c| c.path().string()).collect();
            return Err(Error::MissingColumn { path: path.to_owned(), column: name, available: few(&available) });
        };
        let unit = if of == 0 { date(column) } else { decimal(column, DECIMALS[of]) };
        let unit = unit.filter(|_| column.max_rep_level() == 0).ok_or_else(|| Error::ColumnType {
            path: path.to_owned(),
            column: name,
            expected: if of == 0 { EXPECTED_DATE } else { EXPECTED_DECIMAL },
            got: describe(column),
        })?;
        Ok(Field { name, index, defined: column.max_def_level(), unit })
    };
    Ok([find(0)?, find(1)?, find(2)?, find(3)?])
}

/// Whether the four columns of a row group can be decompressed.
pub(super) fn codecs(path: &Path, fields: &[Field; 4], group: &RowGroupMetaData) -> Result<()> {
    use Compression::{GZIP, LZ4, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
    for field in fields {
        // A file may promise more columns than a row group has.
        let codec = group.columns().get(field.index).map(|column| column.compression());
        match codec {
            Some(UNCOMPRESSED | SNAPPY | GZIP(_) | LZ4 | LZ4_RAW | ZSTD(_)) => {}
            Some(other) => {
                let codec = format!("{other:?}").split('(').next().unwrap_or_default().to_owned();
                return Err(Error::Codec { path: path.to_owned(), column: field.name, codec });
            }
            None => {
                let reason = "a row group lacks a column of the schema".to_owned();
                return Err(Error::NotParquet { path: path.to_owned(), reason });
            }
        }
    }
    Ok(())
}

fn date(column: &ColumnDescriptor) -> Option<Unit> {
    let is_date =
        matches!(column.logical_type_ref(), Some(LogicalType::Date)) || column.converted_type() == ConvertedType::DATE;
    (is_date && column.physical_type() == Type::INT32).then_some(Unit::Same)
}

fn decimal(column: &ColumnDescriptor, decimals: u32) -> Option<Unit> {
    let scale = match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Decimal(d)), _) => u32::try_from(d.scale).ok()?,
        (None, ConvertedType::DECIMAL) => u32::try_from(column.type_scale()).ok()?,
        (Some(LogicalType::Integer(_)), _) => 0,
        (None, ConvertedType::NONE | ConvertedType::INT_32 | ConvertedType::INT_64) => 0,
        (None, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::INT_8 | ConvertedType::INT_16) => 0,
        _ => return None,
    };
    let is_decimal = matches!(column.logical_type_ref(), Some(LogicalType::Decimal(_)))
        || column.converted_type() == ConvertedType::DECIMAL;
    match column.physical_type() {
        Type::DOUBLE => Some(Unit::Float(10_f64.powi(decimals as i32))),
        Type::INT32 | Type::INT64 => factor(scale, decimals),
        Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY if is_decimal => factor(scale, decimals),
        _ => None,
    }
}

fn factor(scale: u32, decimals: u32) -> Option<Unit> {
    Some(match scale.cmp(&decimals) {
        std::cmp::Ordering::Equal => Unit::Same,
        std::cmp::Ordering::Less => Unit::Times(10_i128.checked_pow(decimals - scale)?),
        std::cmp::Ordering::Greater => Unit::Over(10_i128.checked_pow(scale - decimals)?),
    })
}

fn describe(column: &ColumnDescriptor) -> String {
    let physical = column.physical_type();
    let nested = if column.max_rep_level() > 0 { "repeated " } else { "" };
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(logical), _) => format!("{nested}{physical} ({logical:?})"),
        (None, ConvertedType::NONE) => format!("{nested}{physical}"),
        (None, converted) => format!("{nested}{physical} ({converted})"),
    }
}

/// The names there are, cut where a line would get too long.
fn few(names: &[String]) -> String {
    const MOST: usize = 20;
    match names {
        [] => "none".to_owned(),
        all if all.len() <= MOST => all.join(", "),
        all => format!("{} and {} more", all[..MOST].join(", "), all.len() - MOST),
    }
}
