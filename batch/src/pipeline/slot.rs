//! The device memory of one batch, used again and again.

use wharf::{Buffer, Device, Hold, Ticket};

use super::groups;
use crate::{
    columns::Columns,
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

    /// Has the reader write the next rows straight into staging memory, and sends them. Gives what
    /// they are and the four uploads; where there are no rows, none is sent. `number` is the batch's, as of all its
    /// messages.
    pub(super) fn fill(
        &self,
        device: &Device,
        reader: &mut Reader<'_>,
        number: u64,
        is_filled: impl FnOnce(usize),
    ) -> Result<(Filled, Option<[Ticket<()>; 4]>)> {
        let name = |i: usize| crate::columns::NAMES[i];
        let reserve = |i| device.upload(&self.columns[i]).label(name(i)).tag(number).reserve(self.rows);
        let [mut a, mut b, mut c, mut d] = [reserve(0)?, reserve(1)?, reserve(2)?, reserve(3)?];
        let filled = reader.fill(&mut Columns {
            shipdate: &mut a,
            discount: &mut b,
            quantity: &mut c,
            extendedprice: &mut d,
        })?;
        is_filled(filled.rows);
        if filled.rows == 0 {
            return Ok((filled, None));
        }
        // The tail of a last, short batch is sent as it is: the kernel is told how many rows count.
        Ok((filled, Some([a.commit()?, b.commit()?, c.commit()?, d.commit()?])))
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
