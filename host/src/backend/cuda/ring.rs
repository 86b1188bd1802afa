//! Which part of a staging buffer is whose: a ring of byte ranges, given out and back in order.

/// Ranges begin at multiples of this.
const ALIGNMENT: u64 = 256;

/// Invariant: positions only grow; `tail <= head <= tail + capacity`, and the bytes of the positions
/// `tail..head` (modulo `capacity`) are lent out or skipped.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: u64,
    head: u64,
    tail: u64,
}

/// A lent range of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Where it begins in the buffer, in bytes.
    pub(super) offset: u64,
    end: u64,
}

impl Ring {
    /// A ring over a buffer of `capacity` bytes, a multiple of the alignment.
    pub(super) const fn new(capacity: u64) -> Self {
        assert!(capacity.is_multiple_of(ALIGNMENT));
        Self { capacity, head: 0, tail: 0 }
    }

    /// `bytes` in one piece, or `None` until more is given back. At most `capacity` can be had.
    pub(super) fn lend(&mut self, bytes: u64) -> Option<Segment> {
        assert!(bytes <= self.capacity, "{bytes} bytes never fit a ring of {}", self.capacity);
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        if self.head == self.tail {
            // Empty: the next lap begins, so that the whole buffer is one piece.
            self.head = self.head.next_multiple_of(self.capacity);
            self.tail = self.head;
        }
        let offset = self.head % self.capacity;
        let rest = self.capacity - offset;
        let start = if bytes <= rest { self.head } else { self.head + rest };
        if start + bytes - self.tail > self.capacity {
            return None;
        }
        self.head = start + bytes;
        Some(Segment { offset: start % self.capacity, end: self.head })
    }

    /// Gives the oldest lent segment back.
    pub(super) fn give_back(&mut self, oldest: Segment) {
        assert!(self.tail < oldest.end && oldest.end <= self.head, "given back out of order");
        self.tail = oldest.end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn lent_segments_never_overlap_and_lie_inside() {
        const CAPACITY: u64 = 16 * ALIGNMENT;
        let mut ring = Ring::new(CAPACITY);
        let mut lent: VecDeque<(Segment, u64)> = VecDeque::new();
        let mut refused = 0;
        for step in 0..10_000_u64 {
            let bytes = 1 + step * 7919 % (CAPACITY - 1);
            let segment = loop {
                match ring.lend(bytes) {
                    Some(segment) => break segment,
                    None => ring.give_back(lent.pop_front().expect("an empty ring lends").0),
                }
                refused += 1;
            };
            let range = segment.offset..segment.offset + bytes;
            assert!(range.end <= CAPACITY);
            for (other, length) in &lent {
                assert!(range.end <= other.offset || other.offset + length <= range.start);
            }
            lent.push_back((segment, bytes));
        }
        assert!(refused > 1000, "the ring was hardly ever full: {refused}");
    }

    #[test]
    fn an_empty_ring_lends_all_of_itself_wherever_it_stands() {
        let mut ring = Ring::new(1024);
        for bytes in [1, 700, 1024, 300, 1024] {
            let segment = ring.lend(bytes).expect("empty");
            ring.give_back(segment);
        }
    }
}
