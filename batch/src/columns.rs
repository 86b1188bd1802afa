//! The four columns of lineitem that Q6 reads, as 32-bit integers.

/// Bytes of one row: four columns of four bytes.
pub const ROW_BYTES: u64 = 16;

/// The columns' names in TPC-H, in the order of the fields of [`Columns`].
pub const NAMES: [&str; 4] = ["l_shipdate", "l_discount", "l_quantity", "l_extendedprice"];

/// Room for rows, of the caller's memory. All four slices have the same length.
#[derive(Debug)]
pub struct Columns<'a> {
    /// Days since 1970-01-01.
    pub shipdate: &'a mut [u32],
    /// Percent.
    pub discount: &'a mut [u32],
    /// Whole units.
    pub quantity: &'a mut [u32],
    /// Cents.
    pub extendedprice: &'a mut [u32],
}

impl Columns<'_> {
    /// Rows there is room for.
    ///
    /// # Panics
    /// Where the slices' lengths differ.
    pub fn room(&self) -> usize {
        let room = self.shipdate.len();
        assert!(
            [self.discount.len(), self.quantity.len(), self.extendedprice.len()] == [room; 3],
            "the four columns have one length"
        );
        room
    }

    /// The room of `rows` rows from row `start` on.
    pub fn part(&mut self, start: usize, rows: usize) -> Columns<'_> {
        let part = start..start + rows;
        Columns {
            shipdate: &mut self.shipdate[part.clone()],
            discount: &mut self.discount[part.clone()],
            quantity: &mut self.quantity[part.clone()],
            extendedprice: &mut self.extendedprice[part],
        }
    }
}

/// Rows to be read. All four slices have the same length.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Days since 1970-01-01.
    pub shipdate: &'a [u32],
    /// Percent.
    pub discount: &'a [u32],
    /// Whole units.
    pub quantity: &'a [u32],
    /// Cents.
    pub extendedprice: &'a [u32],
}
