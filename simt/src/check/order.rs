//! Atomic accesses of one workgroup whose order decides what comes out, where nothing orders them.
//!
//! They are no data race. But a counter that one invocation resets while another counts loses counts, and
//! a total that is read while others still add to it is some part of it.

use std::collections::HashMap;

use super::epoch::{Entry, Epoch, Who};
use super::{How, Touch};
use crate::ir::NOWHERE;

/// Two accesses of which it matters which comes first.
pub(super) struct Unordered {
    pub entry: Entry,
    pub touch: Touch,
    pub other: Entry,
    pub other_lane: usize,
}

/// The first two lanes that access a word, by how, and their entries.
type Word = HashMap<How, [Option<(usize, usize)>; 2]>;

/// Finds them among the accesses to a variable since the last barrier.
pub(super) fn unordered(epoch: &Epoch, lanes: usize) -> Vec<Unordered> {
    let mut found = Vec::new();
    if !epoch.mixes_atomics() {
        return found;
    }
    let mut words: HashMap<u64, Word> = HashMap::new();
    for (number, entry) in epoch.entries.iter().enumerate() {
        let against: &[How] = match entry.how {
            How::AtomicCombine => &[How::AtomicStore, How::AtomicLoad],
            How::AtomicLoad | How::AtomicStore => &[How::AtomicCombine],
            How::Read | How::Write | How::AtomicExchange => continue,
        };
        let Who::Row(start) = entry.who else { continue };
        for (lane, &addr) in epoch.rows[start..start + lanes].iter().enumerate() {
            if addr == NOWHERE {
                continue;
            }
            let address = u64::from(addr) + u64::from(entry.place.offset);
            let word = words.entry(address).or_default();
            let others = against.iter().filter_map(|how| word.get(how)).flatten().flatten();
            if let Some(&(other_lane, other)) = others.into_iter().find(|(other, _)| *other != lane) {
                let other = epoch.entries[other];
                found.push(Unordered { entry: *entry, touch: Touch { lane, address }, other, other_lane });
            }
            let known = word.entry(entry.how).or_default();
            match known {
                [None, _] => known[0] = Some((lane, number)),
                [Some((first, _)), None] if *first != lane => known[1] = Some((lane, number)),
                _ => {}
            }
        }
    }
    found
}
