//! TPC-H query 6, in exact integers: the revenue that would be gained if the discounts of a year's
//! small, moderately discounted lines were given up.
//!
//! ```sql
//! select sum(l_extendedprice * l_discount) from lineitem
//! where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01'
//!   and l_discount between 0.05 and 0.07 and l_quantity < 24
//! ```
//!
//! Prices are cents and discounts percent, so the sum is in ten-thousandths and has no rounding.
//!
//! Source: TPC Benchmark H, clause 2.4.6, with the substitution values of its validation.

mod host;

use std::{fmt, ops::AddAssign};

use wharf::{Kernel, Launch};

pub use self::host::{parallel, serial};

/// The query's predicates. Days since 1970-01-01, percent, whole units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// First ship date.
    pub date_from: u32,
    /// The day after the last ship date.
    pub date_to: u32,
    /// Least discount.
    pub discount_min: u32,
    /// Greatest discount.
    pub discount_max: u32,
    /// Quantities are below this.
    pub quantity_below: u32,
}

impl Query {
    /// The validation query: 1994, 5 to 7 percent, below 24 units.
    pub const VALIDATION: Self =
        Self { date_from: 8_766, date_to: 9_131, discount_min: 5, discount_max: 7, quantity_below: 24 };
}

/// The kernel that answers it: one partial sum for each workgroup.
pub fn kernel() -> &'static Kernel {
    &wharf_kernels::Q6
}

impl Query {
    /// Gives a launch of [`kernel`] its arguments, for the first `rows` rows of its buffers.
    pub(crate) fn arguments<'a>(&self, launch: Launch<'a>, rows: usize) -> Launch<'a> {
        launch
            .arg("n", u32::try_from(rows).expect("a batch is within u32"))
            .arg("date_from", self.date_from)
            .arg("date_to", self.date_to)
            .arg("discount_min", self.discount_min)
            .arg("discount_max", self.discount_max)
            .arg("quantity_below", self.quantity_below)
    }
}

/// The answer, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revenue {
    /// The sum in ten-thousandths (cents times percent).
    pub ten_thousandths: u128,
    /// Rows that satisfied the predicates.
    pub rows_taken: u64,
}

/// Words that one workgroup writes: low and high limb of its sum, and its count of rows.
pub const PARTIAL_WORDS: usize = 3;

impl Revenue {
    /// TPC-H's published answer at scale 1.
    pub const AT_SCALE_1: &str = "123141078.2283";

    /// Merges what the workgroups wrote: [`PARTIAL_WORDS`] each.
    ///
    /// A workgroup's sum fits its two limbs: it has at most 2^32 rows of less than 2^32 cents, and
    /// the query takes at most 7 percent.
    pub fn of_partials(partials: &[u32]) -> Self {
        let mut revenue = Self::default();
        for words in partials.chunks_exact(PARTIAL_WORDS) {
            revenue.ten_thousandths += u128::from(words[0]) | u128::from(words[1]) << 32;
            revenue.rows_taken += u64::from(words[2]);
        }
        revenue
    }
}

impl AddAssign for Revenue {
    fn add_assign(&mut self, other: Self) {
        self.ten_thousandths += other.ten_thousandths;
        self.rows_taken += other.rows_taken;
    }
}

/// The sum with its four decimals.
impl fmt::Display for Revenue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04}", self.ten_thousandths / 10_000, self.ten_thousandths % 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limbs_merge_past_32_and_64_bits() {
        let one = Revenue::of_partials(&[u32::MAX, u32::MAX, 7]);
        assert_eq!(one.ten_thousandths, u128::from(u64::MAX));
        let mut two = one;
        two += one;
        assert_eq!(two, Revenue { ten_thousandths: 2 * u128::from(u64::MAX), rows_taken: 14 });
    }

    #[test]
    fn four_decimals_are_printed_and_no_digit_is_lost() {
        let print = |ten_thousandths| Revenue { ten_thousandths, rows_taken: 0 }.to_string();
        assert_eq!(print(0), "0.0000");
        assert_eq!(print(10_001), "1.0001");
        assert_eq!(print(1_231_410_782_283), Revenue::AT_SCALE_1);
    }
}
