//! The filter and sum of TPC-H query 6, in exact integer arithmetic.
//!
//! `sum(extendedprice * discount)` and `count(*)` over the rows with `date_from <= shipdate < date_to`,
//! `discount_min <= discount <= discount_max` and `quantity < quantity_below`.
//!
//! | name | shape | unit |
//! |---|---|---|
//! | `shipdate` (read) | `[n]` u32 | days since 1970-01-01 |
//! | `discount` (read) | `[n]` u32 | percent |
//! | `quantity` (read) | `[n]` u32 | whole units |
//! | `extendedprice` (read) | `[n]` u32 | cents |
//! | `partial` (write) | `[3 workgroups]` or more, u32 | low and high limb of cents times percent; rows |
//! | `n` | u32 | rows; the length of `shipdate` where it is not given |
//! | `date_from`, `date_to` | u32 | days |
//! | `discount_min`, `discount_max` | u32 | percent |
//! | `quantity_below` | u32 | whole units |
//!
//! `partial` is written to its end, with zeroes where no workgroup is: [`Answer::of`] adds it all up.
//! [`partial_len`] says how long it must be.
//!
//! Moves `16 n` bytes; about five operations a row. Limits: `n < 2^32`; a workgroup's sum is taken
//! modulo 2^64, which prices in TPC-H's range do not reach in `2^32` rows.
//!
//! Source: TPC Benchmark H, Standard Specification, 2.4.6 Forecasting Revenue Change Query (Q6).
#![expect(unsafe_code, reason = "the descriptor vouches for its twins and its indices")]

use std::ops::{AddAssign, Range};

use bytemuck::{Pod, Zeroable};
use wharf::{Grid, Job, Kernel, Need, Value, native::Dispatch};

use crate::{
    random::Random,
    share::{SERIAL, share, share_out},
    spec::{Binding, Case, Cost, Data, Expected, Inputs, Reproducibility, Spec, Split},
    wide::widest,
};

const TILE: usize = 1024;
const MOST: u32 = 1024;

/// The descriptor.
// SAFETY: the guards in the WGSL and in its twins keep every index below the lengths that are checked at
// launch; the twins are compared with the WGSL and the oracle in the tests.
pub static Q6: Kernel = unsafe {
    Kernel::new("q6", wharf_shaders::Q6)
        .with_native(native)
        .with_ptx(include_str!("q6.ptx"))
        .with_grid(Grid::Strided { of: "shipdate", per_group: TILE as u32, most: MOST })
        .with_needs(&[
            Need::product("shipdate", &["n"]),
            Need::product("discount", &["n"]),
            Need::product("quantity", &["n"]),
            Need::product("extendedprice", &["n"]),
            Need::per_group("partial", 3),
        ])
        .with_linear_ids()
        .with_proven_indices()
};

pub(crate) const SPEC: Spec = Spec {
    name: "q6",
    summary: "filter and exact sum of TPC-H query 6",
    job: Job::Kernel(&Q6),
    case,
    oracle,
    answer: |outputs| {
        let Answer { sum, rows } = Answer::of(outputs[0].u32s());
        vec![Data::U32(limbs(sum, rows))]
    },
    cost: |n| Cost { bytes: 16 * n + 4 * partial_len(n) as u64, flops: 5 * n, barriers: 9 },
    sizes: &[0, 1, 255, 256, 257, 1023, 1024, 1025, 10_007, 1 << 20, 1_500_007],
    class: Reproducibility::Anywhere,
    split: Split::Reduce,
};

/// The query's answer over some rows; answers of parts add up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// Cents times percent: a ten-thousandth of the currency's unit.
    pub sum: u128,
    /// Rows that passed the filter.
    pub rows: u64,
}

impl Answer {
    /// What the kernel left in `partial`.
    pub fn of(partial: &[u32]) -> Self {
        let groups = partial.chunks_exact(3);
        groups.fold(Self::default(), |Self { sum, rows }, group| Self {
            sum: sum + (u128::from(group[0]) | u128::from(group[1]) << 32),
            rows: rows + u64::from(group[2]),
        })
    }
}

impl AddAssign for Answer {
    fn add_assign(&mut self, other: Self) {
        self.sum += other.sum;
        self.rows += other.rows;
    }
}

/// Words that `partial` must have for up to `n` rows.
pub const fn partial_len(n: u64) -> usize {
    let groups = n.div_ceil(TILE as u64);
    3 * if groups == 0 {
        1
    } else if groups > MOST as u64 {
        MOST as usize
    } else {
        groups as usize
    }
}

/// The uniform block.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Params {
    n: u32,
    date_from: u32,
    date_to: u32,
    discount_min: u32,
    discount_max: u32,
    quantity_below: u32,
}

/// Four columns of the same rows.
#[derive(Clone, Copy)]
struct Rows<'a> {
    shipdate: &'a [u32],
    discount: &'a [u32],
    quantity: &'a [u32],
    extendedprice: &'a [u32],
}

fn native(dispatch: &mut Dispatch<'_>) {
    let params: Params = dispatch.uniform();
    let (groups, pool) = (dispatch.group_count(), dispatch.pool);
    let [shipdate, discount, quantity, extendedprice, partial] = &mut *dispatch.args else {
        unreachable!("five storage bindings")
    };
    let rows = Rows {
        shipdate: shipdate.read(),
        discount: discount.read(),
        quantity: quantity.read(),
        extendedprice: extendedprice.read(),
    };
    let columns = [rows.shipdate, rows.discount, rows.quantity, rows.extendedprice];
    let n = columns.iter().fold(params.n as usize, |n, column| n.min(column.len()));
    let partial = partial.write::<u32>();
    let groups = groups.min(65_536).min(partial.len() / 3);
    let (partial, unowned) = partial.split_at_mut(3 * groups);
    unowned.fill(0);
    let sum = |(group, partial): (usize, &mut [u32])| {
        let own = share(n, TILE, group, groups);
        let (sum, taken) = widest(scan, (rows, own, params));
        partial.copy_from_slice(&[sum as u32, (sum >> 32) as u32, taken]);
    };
    if n < SERIAL {
        partial.chunks_exact_mut(3).enumerate().for_each(sum);
    } else {
        // Some at a time, so that taking them is little beside them.
        let each = (groups / (16 * pool.current_num_threads())).clamp(1, 64);
        share_out(pool, partial.chunks_mut(3 * each).enumerate(), |(at, some)| {
            some.chunks_exact_mut(3).zip(at * each..).for_each(|(partial, group)| sum((group, partial)));
        });
    }
}

/// Sum modulo 2^64 and count of the rows that pass. Without a branch for each row.
#[inline(always)]
fn scan((rows, own, params): (Rows<'_>, Range<usize>, Params)) -> (u64, u32) {
    if params.discount_max < params.discount_min {
        return (0, 0);
    }
    // `from <= v < to` is one comparison of `v - from`, which wraps below `from`.
    let days = params.date_to.saturating_sub(params.date_from);
    let percents = params.discount_max - params.discount_min;
    let columns = rows.shipdate[own.clone()]
        .iter()
        .zip(&rows.discount[own.clone()])
        .zip(&rows.quantity[own.clone()])
        .zip(&rows.extendedprice[own]);
    columns.fold((0, 0), |(sum, taken), (((&date, &percent), &count), &price)| {
        let take = (date.wrapping_sub(params.date_from) < days)
            & (percent.wrapping_sub(params.discount_min) <= percents)
            & (count < params.quantity_below);
        let price = if take { price } else { 0 };
        (sum.wrapping_add(u64::from(price) * u64::from(percent)), taken + u32::from(take))
    })
}

fn limbs(sum: u128, rows: u64) -> Vec<u32> {
    vec![sum as u32, (sum >> 32) as u32, (sum >> 64) as u32, rows as u32, (rows >> 32) as u32]
}

fn case(n: usize, inputs: Inputs) -> Case {
    // TPC-H's ranges and parameters: all of 1994, discounts of 5 to 7 percent, fewer than 24 units.
    let mut filter = [8766, 9131, 5, 7, 24];
    let mut random = Random::new(if let Inputs::Random(seed) = inputs { seed } else { 0 });
    let mut columns: [Vec<u32>; 4] = Default::default();
    for i in 0..n as u32 {
        let row = match inputs {
            // Every limit is met, missed by one and exceeded; prices are all different.
            Inputs::Exact => [8765 + i % 368, 4 + i % 5, 22 + i % 3, 90_000 + i],
            Inputs::Random(_) => {
                [8035 + random.below(2557), random.below(11), 1 + random.below(50), 90_091 + random.below(10_404_859)]
            }
        };
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    if let Inputs::Random(seed) = inputs {
        // Odd seeds: numbers so wide that products need both limbs and sums carry.
        if seed % 2 == 1 {
            filter = [1 << 30, 3 << 30, 1 << 28, u32::MAX - 1, 1 << 31];
            columns.iter_mut().flatten().for_each(|value| *value = random.u32());
            columns[3].iter_mut().for_each(|price| *price >>= 12);
        }
    }
    let [shipdate, discount, quantity, extendedprice] = columns;
    let names = ["date_from", "date_to", "discount_min", "discount_max", "quantity_below"];
    let mut args = vec![("n", Value::U32(n as u32))];
    args.extend(names.into_iter().zip(filter.map(Value::U32)));
    Case {
        n,
        inputs,
        bindings: vec![
            Binding::input("shipdate", shipdate),
            Binding::input("discount", discount),
            Binding::input("quantity", quantity),
            Binding::input("extendedprice", extendedprice),
            // Longer than needed: what no workgroup owns must be written too.
            Binding::output_u32("partial", partial_len(n as u64) + 301),
        ],
        args,
    }
}

fn oracle(case: &Case) -> Vec<Expected> {
    let column = |name| case.data(name).u32s();
    let (shipdate, discount) = (column("shipdate"), column("discount"));
    let (quantity, extendedprice) = (column("quantity"), column("extendedprice"));
    let (mut sum, mut rows) = (0_u128, 0_u64);
    for i in 0..case.n {
        if shipdate[i] >= case.u32("date_from")
            && shipdate[i] < case.u32("date_to")
            && discount[i] >= case.u32("discount_min")
            && discount[i] <= case.u32("discount_max")
            && quantity[i] < case.u32("quantity_below")
        {
            sum += u128::from(extendedprice[i]) * u128::from(discount[i]);
            rows += 1;
        }
    }
    vec![Expected::U32(limbs(sum, rows))]
}
