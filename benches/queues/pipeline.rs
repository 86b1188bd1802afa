//! Fill, upload, kernel, download, merge: TPC-H's query 6 over columns in memory, beside what the busiest
//! engine cannot do without.
//!
//! `T_ideal(n) = T_busiest + (T_all - T_busiest) / n` for `n` batches, where the stages' times alone are of
//! the same run, and stages that share an engine are one. Runs and stages alone take turns, and a run is held against
//! the ideal by what the stages took before it and what they took after it, half each: what else the machine does
//! comes and goes.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use wharf::Device;
use wharf_batch::{
    Budget, Columns, Options, ROW_BYTES, Report, Result as BatchResult, Rows, no_fallback,
    q6::{self, Query, Revenue},
    source::{ReadUnit, Source},
};

use crate::{
    Error, Size, Turns, met,
    simulated::{SIM_MOST, Virtual},
};

const MOST: f64 = 1.15;
/// Short runs take more turns.
const LONG_ENOUGH: Duration = Duration::from_secs(5);
/// Rows of a unit of the source.
const UNIT: usize = 1 << 16;

pub(crate) fn run(size: Size) -> Result<(), Error> {
    let table = Table::new(size.of(1 << 17, 1 << 21), size.of(2, 12));
    for name in ["cpu", "wgpu"] {
        match Device::open(name) {
            Ok(device) => on(&device, &table, size)?,
            Err(e) if e.is_unavailable() => println!("pipeline, {name}: skipped, {e}"),
            Err(e) => return Err(e.into()),
        }
    }
    let case =
        Virtual { name: "gen4x16,a100".into(), words: 1 << 20, fill_us: 100, merge_us: 50, chunks: size.of(64, 256) };
    let run = case.run()?;
    println!(
        "pipeline, sim:{}: {} batches of 4 MiB in {:.3} ms of virtual time, ideal {:.3} | times ideal {:.4}, at most \
         {SIM_MOST}: {} | bound by {}",
        case.name,
        case.chunks,
        run.seconds * 1e3,
        run.ideal.ideal_seconds * 1e3,
        run.times_ideal(),
        met(run.times_ideal() <= SIM_MOST),
        run.bound()
    );
    Ok(())
}

fn on(device: &Device, table: &Table, size: Size) -> Result<(), Error> {
    let (mut times, mut seconds, mut ideals) = (Turns::default(), Turns::default(), Turns::default());
    let mut bounds: Vec<String> = Vec::new();
    // The first run compiles the kernel and touches the memory; the stages alone come after it.
    let began = Instant::now();
    let mut report = table.run(device, size)?;
    while times.0.len() < size.turns() || (size == Size::Full && began.elapsed() < LONG_ENOUGH) {
        let before = report.overlap.ideal_seconds;
        report = table.run(device, size)?;
        let judged = report.overlap;
        judged.times_ideal.ok_or("too few batches to judge")?;
        let ideal = f64::midpoint(before, judged.ideal_seconds);
        times.0.push(report.seconds / ideal);
        seconds.0.push(report.seconds * 1e3);
        ideals.0.push(ideal * 1e3);
        bounds.push(judged.bound.ok_or("no stage takes time")?.to_string());
    }
    bounds.sort();
    bounds.dedup();
    // A stage that takes longer beside the others than alone shares more with them than its engine.
    let (alone, beside) = (report.solo.each(), report.last().busy.each());
    let stages: Vec<String> = (0..alone.len())
        .map(|stage| {
            let (name, alone) = (wharf_batch::overlap::Stages::NAMES[stage], alone[stage] * 1e3);
            format!("{name} {alone:.3} ({:.3})", beside[stage] * 1e3 / report.batches as f64)
        })
        .collect();
    println!(
        "pipeline, {}: {} runs of {} batches of {:.1} MiB in {seconds} ms, {:.0} million rows/s, ideal {ideals} | times ideal {times}, at most {MOST}: {} | \
         bound by {} | ms each alone (beside the others, with waiting): {}",
        device.id(),
        times.0.len(),
        report.batches,
        (report.budget.rows as u64 * ROW_BYTES) as f64 / f64::from(1 << 20),
        report.rows as f64 / seconds.median() / 1e3,
        met(times.median() <= MOST),
        bounds.join(" or "),
        stages.join(", ")
    );
    Ok(())
}

/// Four columns in memory, which are read several times over: a long run, so that its ends, and the first
/// touch of the device's memory, are small beside it.
#[derive(Debug)]
struct Table {
    columns: [Vec<u32>; 4],
    times: usize,
    answer: Revenue,
}

impl Table {
    fn new(rows: usize, times: usize) -> Self {
        let mut state = 1_u64;
        let mut below = |n: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as u32) % n
        };
        let mut columns = [(); 4].map(|()| Vec::with_capacity(rows));
        for _ in 0..rows {
            let row = [8036 + below(2526), below(11), 1 + below(50), 90_000 + below(10_000_000)];
            columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
        }
        let [shipdate, discount, quantity, extendedprice] = columns.each_ref().map(Vec::as_slice);
        let once = q6::serial(&Query::VALIDATION, Rows { shipdate, discount, quantity, extendedprice });
        let mut answer = Revenue::default();
        (0..times).for_each(|_| answer += once);
        Self { columns, times, answer }
    }

    fn run(&self, device: &Device, size: Size) -> Result<Report, Error> {
        let stop = AtomicBool::new(false);
        let memory_bytes = if size == Size::Full { Budget::MEMORY_BYTES } else { 2 << 20 };
        let options = Options { memory_bytes, stop: &stop, progress: &|_| (), fallback: &no_fallback };
        let report = wharf_batch::run(device, self, &Query::VALIDATION, &options)?;
        if report.answer == self.answer {
            return Ok(report);
        }
        Err(format!("the answer {} is not {}", report.answer, self.answer).into())
    }
}

impl Source for Table {
    fn name(&self) -> String {
        "columns in memory".into()
    }

    fn rows_expected(&self) -> u64 {
        (self.columns[0].len() * self.times) as u64
    }

    fn units(&self) -> usize {
        self.columns[0].len() / UNIT * self.times
    }

    fn open(&self) -> BatchResult<Box<dyn ReadUnit + '_>> {
        Ok(Box::new(Place { columns: &self.columns, at: 0, end: 0 }))
    }
}

/// A place in the columns.
#[derive(Debug)]
struct Place<'a> {
    columns: &'a [Vec<u32>; 4],
    at: usize,
    end: usize,
}

impl ReadUnit for Place<'_> {
    fn start(&mut self, unit: usize) -> BatchResult<()> {
        self.at = unit * UNIT % self.columns[0].len();
        self.end = self.at + UNIT;
        Ok(())
    }

    fn fill(&mut self, columns: &mut Columns<'_>) -> BatchResult<usize> {
        let rows = columns.room().min(self.end - self.at);
        let room = [&mut columns.shipdate, &mut columns.discount, &mut columns.quantity, &mut columns.extendedprice];
        for (room, column) in room.into_iter().zip(self.columns) {
            room[..rows].copy_from_slice(&column[self.at..self.at + rows]);
        }
        self.at += rows;
        Ok(rows)
    }
}
