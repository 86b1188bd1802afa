//! The same query as ordinary Rust, to compare with: what one would write without this project.

use rayon::prelude::*;

use super::{Query, Revenue};
use crate::columns::Rows;

/// One loop on one thread.
pub fn serial(query: &Query, rows: Rows<'_>) -> Revenue {
    let mut ten_thousandths = 0_u64;
    let mut rows_taken = 0_u64;
    let columns = rows.shipdate.iter().zip(rows.discount).zip(rows.quantity).zip(rows.extendedprice);
    for (((&shipdate, &discount), &quantity), &price) in columns {
        let taken = (shipdate >= query.date_from)
            & (shipdate < query.date_to)
            & (discount >= query.discount_min)
            & (discount <= query.discount_max)
            & (quantity < query.quantity_below);
        // Without a branch: whether a row is taken cannot be predicted.
        ten_thousandths += u64::from(taken) * (u64::from(price) * u64::from(discount));
        rows_taken += u64::from(taken);
    }
    Revenue { ten_thousandths: u128::from(ten_thousandths), rows_taken }
}

/// The same loop on all threads of rayon's pool.
pub fn parallel(query: &Query, rows: Rows<'_>) -> Revenue {
    const PIECE: usize = 1 << 16;
    let pieces = rows
        .shipdate
        .par_chunks(PIECE)
        .zip(rows.discount.par_chunks(PIECE))
        .zip(rows.quantity.par_chunks(PIECE))
        .zip(rows.extendedprice.par_chunks(PIECE));
    pieces
        .map(|(((shipdate, discount), quantity), extendedprice)| {
            serial(query, Rows { shipdate, discount, quantity, extendedprice })
        })
        .reduce(Revenue::default, |mut sum, piece| {
            sum += piece;
            sum
        })
}
