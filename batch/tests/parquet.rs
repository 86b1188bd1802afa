//! Parquet input: every physical type that real files have, and every way a file can be wrong.

#[path = "parquet/write.rs"]
mod write;

use std::{
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use tempfile::tempdir;
use wharf_batch::{
    Columns, Error, Result,
    source::{ParquetFile, Pass, Reader},
};
use write::{Column, Data, table};

/// All rows of a file, in pieces of 1,000.
fn read(path: &Path) -> Result<[Vec<u32>; 4]> {
    let file = ParquetFile::open(path)?;
    let pass = Pass::over(&file);
    let mut reader = Reader::new(&file, &pass)?;
    let mut rows: [Vec<u32>; 4] = Default::default();
    loop {
        let mut piece = [(); 4].map(|()| vec![0; 1_000]);
        let [shipdate, discount, quantity, extendedprice] = piece.each_mut().map(Vec::as_mut_slice);
        let n = reader.fill(&mut Columns { shipdate, discount, quantity, extendedprice })?.rows;
        for (all, piece) in rows.iter_mut().zip(&piece) {
            all.extend_from_slice(&piece[..n]);
        }
        if n < 1_000 {
            return Ok(rows);
        }
    }
}

/// Writes the usual columns, of which `change` makes something else, and reads them back.
fn after(change: impl FnOnce(&mut Vec<Column>)) -> Result<[Vec<u32>; 4]> {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("lineitem.parquet");
    let mut columns = table(2_500);
    change(&mut columns);
    write::file(&path, &columns, 1_200);
    read(&path)
}

fn expected() -> [Vec<u32>; 4] {
    write::numbers(2_500)
}

#[test]
fn all_physical_types_of_decimals_give_the_same_rows() {
    assert_eq!(after(|_| ()).expect("INT64"), expected());
    type Form = (&'static str, fn(Vec<i64>) -> Data);
    let forms: [Form; 4] = [
        ("INT32", |v| Data::Int32(v.iter().map(|&v| v as i32).collect())),
        ("FIXED_LEN_BYTE_ARRAY", Data::Fixed),
        ("BYTE_ARRAY", Data::Bytes),
        ("DOUBLE", |v| Data::Double(v.iter().map(|&v| v as f64 / 100.0).collect())),
    ];
    for (name, form) in forms {
        let rows = after(|columns| {
            for column in &mut columns[1..] {
                let Data::Int64(values) = &column.data else { panic!("decimals are INT64 here") };
                column.data = form(values.clone());
            }
        });
        assert_eq!(rows.expect(name), expected(), "{name}");
    }
}

#[test]
fn optional_columns_without_nulls_are_fine() {
    assert_eq!(after(|columns| columns.iter_mut().for_each(|c| c.optional = true)).expect("rows"), expected());
}

#[test]
fn whole_numbers_and_other_scales_are_converted_exactly() {
    let rows = after(|columns| {
        columns[2] = Column::new("l_quantity", Data::PlainInt64(expected()[2].iter().map(|&q| q.into()).collect()));
    });
    assert_eq!(rows.expect("rows"), expected());
}

#[test]
fn a_null_is_named_with_its_row() {
    let error = after(|columns| {
        columns[1].optional = true;
        columns[1].null_at = Some(2_222);
    });
    let error = error.expect_err("refused");
    assert!(matches!(error, Error::Null { column: "l_discount", row: 2_222, .. }), "{error}");
}

#[test]
fn a_value_out_of_range_is_named_with_its_row() {
    let error = after(|columns| {
        let Data::Int64(prices) = &mut columns[3].data else { panic!("prices are INT64 here") };
        prices[2_345] = -5;
    });
    let error = error.expect_err("refused");
    assert!(matches!(error, Error::Value { column: "l_extendedprice", row: 2_345, .. }), "{error}");
}

#[test]
fn a_quantity_that_is_not_whole_is_no_quantity() {
    let error = after(|columns| {
        let Data::Int64(quantities) = &mut columns[2].data else { panic!("quantities are INT64 here") };
        quantities[7] = 2_450;
    });
    let error = error.expect_err("refused");
    assert!(matches!(error, Error::Value { column: "l_quantity", row: 7, .. }), "{error}");
}

#[test]
fn a_missing_column_is_named_and_those_there_are_listed() {
    let error = after(|columns| drop(columns.remove(2))).expect_err("refused");
    assert!(matches!(error, Error::MissingColumn { column: "l_quantity", .. }), "{error}");
    assert!(error.to_string().contains("l_shipdate, l_discount, l_extendedprice"), "{error}");
}

#[test]
fn a_column_of_another_type_is_refused_before_it_is_read() {
    let as_text = |columns: &mut Vec<Column>| {
        columns[0] = Column::new("l_shipdate", Data::PlainInt64(vec![9_000; 2_500]));
    };
    let error = after(as_text).expect_err("refused");
    assert!(matches!(error, Error::ColumnType { column: "l_shipdate", .. }), "{error}");
    let error = after(|columns| columns[3] = Column::new("l_extendedprice", Data::Text(2_500)));
    let error = error.expect_err("refused");
    assert!(matches!(error, Error::ColumnType { column: "l_extendedprice", .. }), "{error}");
}

#[test]
fn a_file_that_is_missing_or_no_parquet_says_which() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("x");
    assert!(matches!(read(&path), Err(Error::Read { .. })));
    assert!(matches!(read(folder.path()), Err(Error::Read { .. })));
    for bytes in [&b""[..], b"PA", b"hello, this is a text"] {
        std::fs::write(&path, bytes).expect("written");
        assert!(matches!(read(&path), Err(Error::NotParquet { .. })), "{bytes:?}");
    }
    std::fs::write(&path, b"PAR1 but never mind PAR1").expect("written");
    assert!(matches!(read(&path), Err(Error::NotParquet { .. })));
}

#[test]
fn a_truncated_file_is_refused_wherever_it_was_cut() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("lineitem.parquet");
    write::file(&path, &table(2_500), 1_200);
    let whole = std::fs::read(&path).expect("read");
    for end in (4..whole.len()).step_by(whole.len() / 97) {
        std::fs::write(&path, &whole[..end]).expect("written");
        let error = read(&path).expect_err("refused");
        assert!(matches!(error, Error::Truncated { .. }), "cut at {end}: {error}");
    }
}

/// Whatever a byte becomes, the answer is rows or an error.
#[test]
fn no_flipped_byte_makes_it_panic() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("lineitem.parquet");
    write::file(&path, &table(300), 100);
    let whole = std::fs::read(&path).expect("read");
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    // In place: writing the whole file anew for each byte would time the disk.
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("opened");
    let mut put = |at: usize, byte: u8| {
        file.seek(SeekFrom::Start(at as u64)).and_then(|_| file.write_all(&[byte])).expect("written");
    };
    for (at, &byte) in whole.iter().enumerate().skip(4) {
        put(at, byte ^ 0x55);
        let _ = read(&path);
        put(at, byte);
    }
    std::panic::set_hook(quiet);
}

#[test]
fn a_file_without_rows_has_no_rows() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("lineitem.parquet");
    write::file(&path, &table(0), 100);
    assert!(read(&path).expect("no rows")[0].is_empty());
}
