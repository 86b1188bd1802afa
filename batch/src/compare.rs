//! From decoded columns in memory to the answer: ours beside what one would write without it.

use std::{sync::Arc, time::Instant};

use serde::Serialize;
use wharf::{Buffer, Device};

use crate::{
    columns::{Columns, Rows},
    error::Result,
    overlap::median,
    pipeline::groups,
    q6::{self, PARTIAL_WORDS, Query, Revenue, kernel},
    source::{Pass, Reader, Source},
};

/// Rows of a piece: four bindings of 16 MiB, within every device's limits.
const PIECE_ROWS: usize = 1 << 22;
/// Rounds that count, after one that warms up.
const ROUNDS: usize = 11;

/// Decoded columns in memory.
#[derive(Debug)]
pub struct Table {
    pieces: Vec<[Arc<[u32]>; 4]>,
}

impl Table {
    /// All rows of a source.
    ///
    /// # Errors
    /// Those of the source.
    pub fn read(source: &dyn Source) -> Result<Self> {
        let pass = Pass::over(source);
        let mut reader = Reader::new(source, &pass)?;
        let mut pieces = Vec::new();
        loop {
            let mut piece = [(); 4].map(|()| vec![0_u32; PIECE_ROWS]);
            let [shipdate, discount, quantity, extendedprice] = piece.each_mut().map(Vec::as_mut_slice);
            let rows = reader.fill(&mut Columns { shipdate, discount, quantity, extendedprice })?.rows;
            if rows > 0 {
                pieces.push(piece.map(|column| Arc::from(&column[..rows])));
            }
            if rows < PIECE_ROWS {
                return Ok(Self { pieces });
            }
        }
    }

    /// Rows it has.
    pub fn rows(&self) -> u64 {
        self.pieces.iter().map(|piece| piece[0].len() as u64).sum()
    }

    /// The answer by the plain loop on one thread.
    pub fn answer(&self, query: &Query) -> Revenue {
        self.on_host(query, q6::serial)
    }

    fn on_host(&self, query: &Query, run: fn(&Query, Rows<'_>) -> Revenue) -> Revenue {
        let mut revenue = Revenue::default();
        for [shipdate, discount, quantity, extendedprice] in &self.pieces {
            revenue += run(query, Rows { shipdate, discount, quantity, extendedprice });
        }
        revenue
    }

    /// The memory is imported, not copied, where the device can; all pieces are in flight at once.
    fn on_device(&self, device: &Device, query: &Query, partials: &[Buffer<u32>]) -> Result<Revenue> {
        let mut answers = Vec::with_capacity(partials.len());
        for (piece, partial) in self.pieces.iter().zip(partials) {
            let rows = piece[0].len();
            let column = |i: usize| device.import(piece[i].clone());
            let [a, b, c, d] = [column(0)?, column(1)?, column(2)?, column(3)?];
            let launch = device.launch(kernel()).bind(&a).bind(&b).bind(&c).bind(&d).bind(partial);
            // Its failure would come back with the download.
            drop(query.arguments(launch, rows).groups([groups(rows), 1, 1]).run()?);
            answers.push(device.download(partial).send()?);
        }
        let mut revenue = Revenue::default();
        for answer in answers {
            revenue += Revenue::of_partials(&answer.wait().ok()?);
        }
        Ok(revenue)
    }
}

/// Seconds of each way, all rounds, in the order they were measured.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// Rows in memory.
    pub rows: u64,
    /// The device that `ours` ran on.
    pub device: String,
    /// Ours.
    pub ours: Way,
    /// The plain loop on one thread.
    pub serial: Way,
    /// The same loop with rayon.
    pub rayon: Way,
    /// How many times faster ours is than the plain loop.
    pub times_serial: f64,
    /// How many times faster ours is than the loop with rayon.
    pub times_rayon: f64,
    /// Whether all three gave the same answer.
    pub agree: bool,
}

/// One way's times.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Way {
    /// The median of the samples, in seconds.
    pub median: f64,
    /// All samples, in seconds.
    pub samples: Vec<f64>,
}

impl Way {
    fn of(samples: Vec<f64>) -> Self {
        Self { median: median(&mut samples.clone()), samples }
    }
}

/// Times the three ways in turn, so that what disturbs one disturbs all.
///
/// # Errors
/// Those of the device.
pub fn compare(device: &Device, table: &Table, query: &Query) -> Result<Comparison> {
    let partial = |piece: &[Arc<[u32]>; 4]| device.buffer(groups(piece[0].len()) as usize * PARTIAL_WORDS);
    let partials = table.pieces.iter().map(partial).collect::<Result<Vec<_>, _>>()?;
    let mut seconds = [const { Vec::new() }; 3];
    let mut agree = true;
    for round in 0..=ROUNDS {
        let mut answers = [Revenue::default(); 3];
        for (way, answer) in answers.iter_mut().enumerate() {
            let began = Instant::now();
            *answer = match way {
                0 => table.on_device(device, query, &partials)?,
                1 => table.on_host(query, q6::serial),
                _ => table.on_host(query, q6::parallel),
            };
            if round > 0 {
                seconds[way].push(began.elapsed().as_secs_f64());
            }
        }
        agree &= answers[0] == answers[1] && answers[1] == answers[2];
    }
    let [ours, serial, rayon] = seconds.map(Way::of);
    let times = |other: &Way| if ours.median > 0.0 { other.median / ours.median } else { 0.0 };
    let (times_serial, times_rayon) = (times(&serial), times(&rayon));
    let device = device.id().to_owned();
    Ok(Comparison { rows: table.rows(), device, ours, serial, rayon, times_serial, times_rayon, agree })
}
