//! TPC-H's lineitem, made on the spot.
//!
//! Source: TPC Benchmark H, clause 4.2 (database population); the crate `tpchgen` gives the same rows
//! as TPC's own `dbgen`.

use tpchgen::{
    distribution::Distributions,
    generators::{LineItemGenerator, LineItemGeneratorIterator},
    text::TextPool,
};

use super::{ReadUnit, Source};
use crate::{
    columns::Columns,
    error::{Error, Result},
};

/// Orders at scale 1; each has one to seven lines.
const ORDERS_AT_SCALE_1: f64 = 1_500_000.0;
/// Orders in a unit: large against the cost of winding the random streams forward to its start,
/// small enough that the last units of a pass keep all cores busy.
const ORDERS_IN_A_UNIT: u64 = 16_384;

/// A generator of lineitem rows at a scale factor.
#[derive(Debug)]
pub struct Lineitem {
    scale: f64,
    orders: u64,
    units: i32,
    // The comments are cut from this text. No column of ours reads them, and every column has its
    // own random stream, so a short text makes the same rows and saves 300 MB.
    text: TextPool,
}

impl Lineitem {
    /// The smallest scale factor that makes rows: TPC-H's tables have a supplier then.
    pub const LEAST_SCALE: f64 = 0.0001;
    /// The largest scale factor.
    pub const MOST_SCALE: f64 = 10_000.0;

    /// Lineitem at this scale factor: 1 is 6,001,215 rows.
    ///
    /// # Errors
    /// [`Error::Scale`] where it is neither 0 nor a number from [`Lineitem::LEAST_SCALE`] to
    /// [`Lineitem::MOST_SCALE`].
    pub fn new(scale: f64) -> Result<Self> {
        if scale != 0.0 && !(Self::LEAST_SCALE..=Self::MOST_SCALE).contains(&scale) {
            return Err(Error::Scale { scale });
        }
        let orders = (ORDERS_AT_SCALE_1 * scale) as u64;
        let units = orders.div_ceil(ORDERS_IN_A_UNIT) as i32;
        let text = TextPool::new(1 << 16, Distributions::static_default());
        Ok(Self { scale, orders, units, text })
    }
}

impl Source for Lineitem {
    fn name(&self) -> String {
        format!("lineitem at scale {}, made by tpchgen", self.scale)
    }

    fn rows_expected(&self) -> u64 {
        self.orders * 4
    }

    fn units(&self) -> usize {
        self.units as usize
    }

    fn open(&self) -> Result<Box<dyn ReadUnit + '_>> {
        Ok(Box::new(Lines { table: self, unit: None }))
    }
}

struct Lines<'a> {
    table: &'a Lineitem,
    unit: Option<LineItemGeneratorIterator<'a>>,
}

impl ReadUnit for Lines<'_> {
    fn start(&mut self, unit: usize) -> Result<()> {
        let Lineitem { scale, units, text, .. } = self.table;
        let (part, distributions) = (unit as i32 + 1, Distributions::static_default());
        let lines = LineItemGenerator::new_with_distributions_and_text_pool(*scale, part, *units, distributions, text);
        self.unit = Some(lines.iter());
        Ok(())
    }

    fn fill(&mut self, columns: &mut Columns<'_>) -> Result<usize> {
        let Some(unit) = &mut self.unit else { return Ok(0) };
        let mut row = 0;
        // The generator's domains are within u32: 1992 to 1998, 0 to 10 percent, 1 to 50 units,
        // and at most 50 times 2,100 dollars.
        for line in unit.by_ref().take(columns.room()) {
            columns.shipdate[row] = line.l_shipdate.to_unix_epoch() as u32;
            columns.discount[row] = line.l_discount.into_inner() as u32;
            columns.quantity[row] = line.l_quantity as u32;
            columns.extendedprice[row] = line.l_extendedprice.into_inner() as u32;
            row += 1;
        }
        Ok(row)
    }
}
