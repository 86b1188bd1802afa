//! The device memory of one batch, used again and again.

use wharf::{Buffer, Device, DmaQueue, FailPolicy, Fill, Hold, Ticket};

use super::groups;
use crate::{
    budget::Budget,
    columns::{Columns, NAMES},
    error::{Error, Result},
    q6::{PARTIAL_WORDS, Query, kernel},
    source::{Filled, Reader},
};

#[derive(Debug)]
pub(super) struct Slot {
    columns: [Buffer<u32>; 4],
    partial: Buffer<u32>,
    groups: u32,
    rows: usize,
    /// Where the partial sums arrive; it travels with the download.
    pub(super) words: Vec<u32>,
    /// What lies idle makes room for slots, but not one slot for another: where they do not fit together, batches are
    /// made smaller.
    _holds: Vec<Hold>,
}

impl Slot {
    pub(super) fn new(device: &Device, rows: usize) -> Result<Self> {
        let column = || device.buffer::<u32>(rows);
        let groups = groups(rows);
        // Each is held before the next is made.
        let mut holds = Vec::new();
        let mut held = |buffer: Buffer<u32>| {
            holds.push(device.hold(&buffer)?);
            Ok::<_, Error>(buffer)
        };
        let columns = [held(column()?)?, held(column()?)?, held(column()?)?, held(column()?)?];
        let partial = held(device.buffer(groups as usize * PARTIAL_WORDS)?)?;
        Ok(Self { columns, partial, groups, rows, words: Vec::new(), _holds: holds })
    }

    /// Staging memory for the next rows, and the right to send them through this queue. `number` is the batch's, as of
    /// all its messages.
    pub(super) fn reserve<'a>(&'a self, device: &'a Device, queue: &'a DmaQueue, number: u64) -> Result<Room<'a>> {
        let reserve =
            |i: usize| device.upload(&self.columns[i]).on(queue).label(NAMES[i]).tag(number).reserve(self.rows);
        Ok(Room([reserve(0)?, reserve(1)?, reserve(2)?, reserve(3)?]))
    }

    /// Launches the kernel over the first `rows` rows.
    pub(super) fn launch(&self, device: &Device, query: &Query, number: u64, rows: usize) -> Result<Ticket<()>> {
        let [a, b, c, d] = &self.columns;
        let launch = device.launch(kernel()).tag(number).bind(a).bind(b).bind(c).bind(d).bind(&self.partial);
        Ok(query.arguments(launch, rows).groups([self.groups, 1, 1]).run()?)
    }

    /// Asks for the partial sums.
    pub(super) fn download(&mut self, device: &Device, number: u64) -> Result<Ticket<Vec<u32>>> {
        let words = std::mem::take(&mut self.words);
        Ok(device.download(&self.partial).tag(number).into(words).map_err(wharf::Error::from)?)
    }
}

/// The queue of all batches' columns, with bytes for those of all slots: who has reserved some of a batch's columns
/// waits for the others, and nobody must wait for what somebody holds who waits, too.
pub(super) fn uploads(device: &Device, budget: Budget) -> DmaQueue {
    device.queue("batches").policy(FailPolicy::Continue).bytes(budget.staging_bytes()).open()
}

/// Staging memory for a batch. Dropping it sends nothing.
pub(super) struct Room<'a>([Fill<'a, u32>; 4]);

impl Room<'_> {
    /// Has the reader write the next rows, straight into it.
    pub(super) fn fill(&mut self, reader: &mut Reader<'_>) -> Result<Filled> {
        let [shipdate, discount, quantity, extendedprice] = &mut self.0;
        reader.fill(&mut Columns { shipdate, discount, quantity, extendedprice })
    }

    /// Sends the four columns. The tail of a last, short batch is sent as it is: the kernel is told how many rows
    /// count.
    pub(super) fn commit(self) -> Result<[Ticket<()>; 4]> {
        let [a, b, c, d] = self.0;
        Ok([a.commit()?, b.commit()?, c.commit()?, d.commit()?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_slots_of_many_workers_are_reserved_at_once() -> Result<()> {
        // More bytes than a queue has by itself. Nothing is written to them.
        let budget = Budget { workers: 66, slots: 68, rows: 1 << 18 };
        let device = Device::open("cpu")?;
        let queue = uploads(&device, budget);
        let slots = (0..budget.slots).map(|_| Slot::new(&device, budget.rows)).collect::<Result<Vec<_>>>()?;
        let rooms = slots.iter().map(|slot| slot.reserve(&device, &queue, 1)).collect::<Result<Vec<_>>>()?;
        assert_eq!(queue.stats().free_bytes, 0);
        drop(rooms);
        assert_eq!(queue.stats().free_bytes, budget.staging_bytes());
        Ok(())
    }
}
