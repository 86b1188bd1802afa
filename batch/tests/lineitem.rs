//! The generator's rows, and the answer that TPC-H publishes for them.

use wharf_batch::{
    Columns, Error, Rows,
    q6::{self, Query, Revenue},
    source::{Lineitem, Pass, Reader, Source},
};

/// All rows, read in pieces of `room` rows by `readers` readers in turn.
fn all(source: &dyn Source, readers: usize, room: usize) -> [Vec<u32>; 4] {
    let pass = Pass::over(source);
    let mut readers: Vec<_> = (0..readers).map(|_| Reader::new(source, &pass).expect("a reader")).collect();
    let mut rows: [Vec<u32>; 4] = Default::default();
    while !readers.is_empty() {
        readers.retain_mut(|reader| {
            let mut piece = [(); 4].map(|()| vec![0; room]);
            let [shipdate, discount, quantity, extendedprice] = piece.each_mut().map(Vec::as_mut_slice);
            let mut columns = Columns { shipdate, discount, quantity, extendedprice };
            let n = reader.fill(&mut columns).expect("rows").rows;
            for (all, piece) in rows.iter_mut().zip(&piece) {
                all.extend_from_slice(&piece[..n]);
            }
            n == room
        });
    }
    rows
}

fn view(rows: &[Vec<u32>; 4]) -> Rows<'_> {
    let [shipdate, discount, quantity, extendedprice] = rows.each_ref().map(Vec::as_slice);
    Rows { shipdate, discount, quantity, extendedprice }
}

#[test]
fn scale_1_has_the_published_rows_and_answer() {
    let rows = all(&Lineitem::new(1.0).expect("scale 1"), 2, 1 << 18);
    assert_eq!(rows[0].len(), 6_001_215);
    let answer = q6::serial(&Query::VALIDATION, view(&rows));
    assert_eq!(answer.to_string(), Revenue::AT_SCALE_1);
    assert_eq!(q6::parallel(&Query::VALIDATION, view(&rows)), answer);
}

#[test]
fn the_number_of_readers_and_their_room_change_no_row() {
    let table = Lineitem::new(0.02).expect("a scale");
    let sorted = |readers, room| {
        let [a, b, c, d] = all(&table, readers, room);
        let mut rows: Vec<_> = a.into_iter().zip(b).zip(c).zip(d).collect();
        rows.sort_unstable();
        rows
    };
    let once = sorted(1, 1 << 20);
    assert!(once.len() > 100_000);
    assert_eq!(sorted(3, 1_000), once);
}

#[test]
fn scale_0_has_no_rows() {
    let table = Lineitem::new(0.0).expect("scale 0");
    assert_eq!(table.units(), 0);
    assert!(all(&table, 2, 16)[0].is_empty());
}

#[test]
fn a_scale_that_is_no_scale_is_refused() {
    for scale in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
        let error = Lineitem::new(scale).expect_err("refused");
        assert!(matches!(error, Error::Scale { .. }), "{error}");
    }
}
