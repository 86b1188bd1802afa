//! Writes small Parquet files whose columns are anything a test wants.

use std::{fs::File, path::Path, sync::Arc};

use parquet::{
    basic::{LogicalType, Repetition, Type as Physical},
    data_type::{ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type},
    file::writer::{SerializedColumnWriter, SerializedFileWriter},
    schema::types::Type,
};

/// A column's values, in the physical type they are written as. Decimals have two digits.
pub(crate) enum Data {
    Date(Vec<i32>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    PlainInt64(Vec<i64>),
    Fixed(Vec<i64>),
    Bytes(Vec<i64>),
    Double(Vec<f64>),
    Text(usize),
}

pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) data: Data,
    pub(crate) optional: bool,
    /// This row's value is written as NULL.
    pub(crate) null_at: Option<usize>,
}

impl Column {
    pub(crate) fn new(name: &'static str, data: Data) -> Self {
        Self { name, data, optional: false, null_at: None }
    }
}

/// Numbers as the job sees them: days, percent, units, cents.
pub(crate) fn numbers(n: u32) -> [Vec<u32>; 4] {
    let column = |f: fn(u32) -> u32| (0..n).map(f).collect();
    [column(|i| 8_036 + i * 7 % 2_500), column(|i| i % 11), column(|i| 1 + i * 3 % 50), column(|i| 90_000 + i * 4_201)]
}

/// Lineitem's four columns with `n` rows of [`numbers`].
pub(crate) fn table(n: u32) -> Vec<Column> {
    let [date, discount, quantity, price] = numbers(n);
    let decimal = |v: Vec<u32>, by: i64| Data::Int64(v.into_iter().map(|v| i64::from(v) * by).collect());
    vec![
        Column::new("l_shipdate", Data::Date(date.into_iter().map(|d| d as i32).collect())),
        Column::new("l_discount", decimal(discount, 1)),
        Column::new("l_quantity", decimal(quantity, 100)),
        Column::new("l_extendedprice", decimal(price, 1)),
    ]
}

/// Writes the columns in row groups of `group` rows.
pub(crate) fn file(path: &Path, columns: &[Column], group: usize) {
    let fields = columns.iter().map(|column| Arc::new(field(column))).collect();
    let schema = Type::group_type_builder("lineitem").with_fields(fields).build().expect("a schema");
    let file = File::create(path).expect("a file");
    let mut file = SerializedFileWriter::new(file, Arc::new(schema), Arc::default()).expect("a writer");
    let n = columns.iter().map(|c| c.data.len()).max().unwrap_or(0);
    for start in (0..n).step_by(group) {
        let rows = start..n.min(start + group);
        let mut out = file.next_row_group().expect("a row group");
        for column in columns {
            let mut writer = out.next_column().expect("a column").expect("as many as in the schema");
            column.write(&mut writer, rows.clone());
            writer.close().expect("written");
        }
        out.close().expect("written");
    }
    file.close().expect("written");
}

fn field(column: &Column) -> Type {
    let decimal = || Some(LogicalType::decimal(2, 9));
    let (physical, logical) = match column.data {
        Data::Date(_) => (Physical::INT32, Some(LogicalType::Date)),
        Data::Int32(_) => (Physical::INT32, decimal()),
        Data::Int64(_) => (Physical::INT64, decimal()),
        Data::PlainInt64(_) => (Physical::INT64, None),
        Data::Fixed(_) => (Physical::FIXED_LEN_BYTE_ARRAY, decimal()),
        Data::Bytes(_) => (Physical::BYTE_ARRAY, decimal()),
        Data::Double(_) => (Physical::DOUBLE, None),
        Data::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let is_decimal = matches!(logical, Some(LogicalType::Decimal(_)));
    let builder = Type::primitive_type_builder(column.name, physical)
        .with_repetition(if column.optional { Repetition::OPTIONAL } else { Repetition::REQUIRED })
        .with_logical_type(logical);
    let builder = if is_decimal { builder.with_precision(9).with_scale(2) } else { builder };
    builder.with_length(5).build().expect("a field")
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::Date(v) | Self::Int32(v) => v.len(),
            Self::Int64(v) | Self::PlainInt64(v) | Self::Fixed(v) | Self::Bytes(v) => v.len(),
            Self::Double(v) => v.len(),
            Self::Text(n) => *n,
        }
    }
}

impl Column {
    fn write(&self, writer: &mut SerializedColumnWriter<'_>, rows: std::ops::Range<usize>) {
        let there: Vec<usize> = rows.clone().filter(|&i| self.null_at != Some(i)).collect();
        let levels: Vec<i16> = rows.map(|i| i16::from(self.null_at != Some(i))).collect();
        let levels = self.optional.then_some(&levels[..]);
        macro_rules! write {
            ($kind:ty, $value:expr) => {
                writer.typed::<$kind>().write_batch(&there.iter().map($value).collect::<Vec<_>>(), levels, None)
            };
        }
        match &self.data {
            Data::Date(v) | Data::Int32(v) => write!(Int32Type, |&i| v[i]),
            Data::Int64(v) | Data::PlainInt64(v) => write!(Int64Type, |&i| v[i]),
            Data::Double(v) => write!(DoubleType, |&i| v[i]),
            Data::Fixed(v) => {
                write!(FixedLenByteArrayType, |&i| { FixedLenByteArray::from(v[i].to_be_bytes()[3..].to_vec()) })
            }
            Data::Bytes(v) => write!(ByteArrayType, |&i| ByteArray::from(v[i].to_be_bytes().to_vec())),
            Data::Text(_) => write!(ByteArrayType, |&i| ByteArray::from(format!("{i}").into_bytes())),
        }
        .expect("written");
    }
}
