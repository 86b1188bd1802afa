//! The answer without any device.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
};

use crate::{
    columns::{Columns, Rows},
    error::{Error, Result},
    q6::{self, Query, Revenue},
    source::{Pass, Reader, Source},
};

/// Rows that a thread reads at a time.
const ROWS: usize = 1 << 16;

/// Answers `query` over `source` by the plain loop, with rows that are read anew: to hold what a device has
/// answered against. It takes about as long as reading the source; `progress` is told of the rows so far, by several
/// threads.
///
/// # Errors
/// Those of the source; [`Error::Interrupted`] where somebody has set `stop`.
pub fn answer_on_host(
    source: &dyn Source,
    query: &Query,
    stop: &AtomicBool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Revenue> {
    let (pass, read) = (Pass::over(source), AtomicU64::new(0));
    let work = || {
        let mut reader = Reader::new(source, &pass)?;
        let mut columns = [(); 4].map(|()| vec![0_u32; ROWS]);
        let mut revenue = Revenue::default();
        while !stop.load(Relaxed) {
            let [shipdate, discount, quantity, extendedprice] = columns.each_mut().map(Vec::as_mut_slice);
            let rows = reader.fill(&mut Columns { shipdate, discount, quantity, extendedprice })?.rows;
            if rows == 0 {
                return Ok(revenue);
            }
            let [shipdate, discount, quantity, extendedprice] = columns.each_ref().map(|column| &column[..rows]);
            revenue += q6::serial(query, Rows { shipdate, discount, quantity, extendedprice });
            progress(read.fetch_add(rows as u64, Relaxed) + rows as u64);
        }
        Err(Error::Interrupted { rows: 0 })
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(source.units().max(1));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut revenue = Revenue::default();
        for worker in workers {
            revenue += worker.join().map_err(|_| Error::Worker)??;
        }
        Ok(revenue)
    })
}
