//! The rounds through wharf.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use wharf::{Buffer, Device, Grid, Kernel, Ticket};
use wharf_kernels::SAXPY;

use crate::{Arm, DEPTH, Error, input, raw, verify};

#[expect(unsafe_code, reason = "the raw side goes without checks, so this one does")]
// SAFETY: it indexes with the constant 0 only.
static TOUCH: Kernel =
    unsafe { Kernel::new("touch", raw::TOUCH).with_grid(Grid::Fixed([1, 1, 1])).with_proven_indices() };

/// Upload, saxpy, download.
pub(crate) struct Rounds<'a> {
    device: &'a Device,
    slots: Vec<Slot>,
    done: usize,
}

/// The tickets of an upload and a download under way.
type Flight = (Ticket<Vec<f32>>, Ticket<Vec<f32>>);

struct Slot {
    x: Buffer<f32>,
    y: Buffer<f32>,
    /// The vectors, while they are not in a message.
    up: Option<Vec<f32>>,
    down: Option<Vec<f32>>,
    flight: Option<Flight>,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(device: &'a Device, len: usize) -> Result<Self, Error> {
        device.prepare(&SAXPY)?;
        let slot = || -> Result<Slot, Error> {
            let (x, y) = (device.buffer(len)?, device.buffer(len)?);
            Ok(Slot { x, y, up: Some(input(len)), down: Some(vec![0.0; len]), flight: None })
        };
        Ok(Self { device, slots: (0..DEPTH).map(|_| slot()).collect::<Result<_, _>>()?, done: 0 })
    }
}

impl Slot {
    fn land(&mut self) -> Result<(), Error> {
        if let Some((up, down)) = self.flight.take() {
            self.up = Some(up.wait().ok()?);
            self.down = Some(down.wait().ok()?);
        }
        Ok(())
    }
}

impl Arm for Rounds<'_> {
    fn run(&mut self, rounds: usize) -> Result<Duration, Error> {
        let start = Instant::now();
        for round in 0..rounds {
            let slot = &mut self.slots[round % DEPTH];
            slot.land()?;
            let (up, down) = (slot.up.take().expect("landed"), slot.down.take().expect("landed"));
            let up = self.device.upload(&slot.x).send(up)?;
            drop(self.device.launch(&SAXPY).bind(&slot.x).bind(&slot.y).arg("a", 2.0_f32).run()?);
            slot.flight = Some((up, self.device.download(&slot.y).into(down)?));
        }
        for slot in &mut self.slots {
            slot.land()?;
        }
        let time = start.elapsed();
        self.done += rounds / DEPTH;
        for slot in &self.slots {
            verify(slot.down.as_ref().expect("landed"), self.done)?;
        }
        Ok(time)
    }
}

/// Launches of an almost empty kernel.
pub(crate) struct Launches<'a> {
    device: &'a Device,
    buffer: Buffer<u32>,
    done: usize,
}

impl<'a> Launches<'a> {
    pub(crate) fn new(device: &'a Device) -> Result<Self, Error> {
        device.prepare(&TOUCH)?;
        Ok(Self { device, buffer: device.buffer(16)?, done: 0 })
    }
}

impl Arm for Launches<'_> {
    fn run(&mut self, launches: usize) -> Result<Duration, Error> {
        let start = Instant::now();
        let mut tickets: VecDeque<Ticket<()>> = VecDeque::with_capacity(launches);
        for _ in 0..launches {
            tickets.push_back(self.device.launch(&TOUCH).bind(&self.buffer).run()?);
        }
        for ticket in tickets {
            ticket.wait().ok()?;
        }
        let time = start.elapsed();
        self.done += launches;
        let count = self.device.download(&self.buffer).wait()?[0];
        if count as usize != self.done {
            return Err(format!("{count} launches ran of {}", self.done).into());
        }
        Ok(time)
    }
}
