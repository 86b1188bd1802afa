//! Edges and failures, by hand and against a model that knows each grain by itself.

use proptest::prelude::*;

use super::*;
use crate::backend::MemId;

fn name(index: u32) -> Token {
    Token { index, generation: 0 }
}

fn part(range: Range<u64>) -> Part {
    Part::of(Region { mem: MemId(0), offset: range.start, bytes: range.end - range.start }, 1 << 40)
}

/// The messages that one has edges to that does this to these bytes.
fn touch(resource: &mut Resource, index: u32, access: Access, bytes: Range<u64>) -> Vec<u32> {
    let mut edges = Vec::new();
    let touch = Touch { buffer: name(0), access, part: part(bytes) };
    assert!(resource.record(name(index), touch, &mut edges, |_| true).is_none());
    edges.iter().map(|edge| edge.on.index).collect()
}

fn error(id: u64) -> Arc<TransferError> {
    let (kind, id) = (crate::error::FailureKind::Cancelled, MessageId(id));
    let (device, queue) = ("d".into(), "q".into());
    Arc::new(TransferError { kind, device, queue, id, label: None, bytes: 0, bytes_done: 0 })
}

/// The failure that a message inherits that does this to these bytes.
fn inherits(resource: &mut Resource, access: Access, bytes: Range<u64>) -> Option<u64> {
    let touch = Touch { buffer: name(0), access, part: part(bytes) };
    resource.record(name(999), touch, &mut Vec::new(), |_| true).map(|error| error.id.number())
}

#[test]
fn what_overlaps_by_a_grain_is_ordered_and_what_touches_is_not() {
    use Access::{Overwrite, Read, ReadWrite};
    let mut x = Resource::default();
    assert_eq!(touch(&mut x, 1, Overwrite, 0..16), [0; 0]);
    assert_eq!(touch(&mut x, 2, Overwrite, 16..32), [0; 0]);
    assert_eq!(touch(&mut x, 3, Read, 12..20), [1, 2]);
    assert_eq!(touch(&mut x, 4, Read, 16..20), [2]);
    assert_eq!(touch(&mut x, 5, ReadWrite, 0..12), [1]);
    assert_eq!(touch(&mut x, 6, Overwrite, 16..18), [2, 3, 4], "half a grain is a grain");
    assert_eq!(touch(&mut x, 7, Read, 20..24), [2], "of the second's part that nobody has written since");
    assert_eq!(touch(&mut x, 8, Overwrite, 0..64), [1, 2, 5, 6, 3, 7], "those that are left behind nobody");
    assert_eq!(touch(&mut x, 9, Read, 4..8), [8], "it stands for all");
}

#[test]
fn parts_are_told_apart_however_far_behind_and_end_with_their_buffer() {
    let (far, end) = (1_u64 << 36, 1_u64 << 40);
    let (a, b) = (part(far..far + 4), part(far + 8..far + 12));
    assert_eq!((a.overlap(b), a.overlap(a)), (None, Some(a)));
    assert_eq!(part(0..end), Part::WHOLE);
    assert_eq!((part(4..12).bytes(end), Part::WHOLE.bytes(end)), (Some(4..12), None));
    assert_eq!(part(far..end).bytes(end), Some(far..end), "not further than the buffer goes");
    assert_eq!(part(far..end).overlap(Part::WHOLE), Some(part(far..end)));
    assert_eq!(part(end..end).overlap(Part::WHOLE), None, "nothing is at the end");
    assert_eq!(Part::of(Region { mem: MemId(0), offset: 0, bytes: 0 }, 0), Part::WHOLE, "of nothing, all");
    let odd = Part::of(Region { mem: MemId(0), offset: 8, bytes: 4 }, 11);
    assert_eq!((odd.overlap(Part::WHOLE), odd.bytes(11)), (Some(odd), Some(8..12)));
}

#[test]
fn a_long_list_is_one_message_from_then_on() {
    let mut x = Resource::default();
    let last = LONG as u32;
    for i in 0..last {
        assert_eq!(touch(&mut x, i, Access::Overwrite, 8 * u64::from(i)..8 * u64::from(i) + 4), [0; 0]);
    }
    assert_eq!(touch(&mut x, last, Access::Overwrite, 4..8).len(), LONG, "it waits for all of them");
    assert_eq!(touch(&mut x, last + 1, Access::Read, 0..4), [last], "and stands for them");
}

#[test]
fn parts_fail_by_themselves_until_they_are_many() {
    let mut x = Resource::default();
    for i in 0..MOST_POISONED as u32 {
        touch(&mut x, i, Access::Overwrite, 8 * u64::from(i)..8 * u64::from(i) + 4);
        x.fail(name(i), &error(u64::from(i)));
    }
    assert_eq!(inherits(&mut x, Access::Read, 4..8), None, "between two of them");
    assert_eq!(inherits(&mut x, Access::Read, 4..12), Some(1));
    assert_eq!(inherits(&mut x, Access::Overwrite, 8..12), None);
    assert_eq!(inherits(&mut x, Access::Read, 4..12), None, "it is good again");
    for i in [100_u32, 101] {
        touch(&mut x, i, Access::Overwrite, 8 * u64::from(i)..8 * u64::from(i) + 4);
        x.fail(name(i), &error(u64::from(i)));
    }
    assert_eq!(inherits(&mut x, Access::Read, 4..8), Some(0), "too many to tell apart");
    assert_eq!(inherits(&mut x, Access::Overwrite, 0..1 << 40), None);
    assert_eq!(inherits(&mut x, Access::Read, 4..8), None);
    // One writer of little, and failures beside what it wrote.
    let mut y = Resource { poison: vec![(error(7), part(0..64))], ..Resource::default() };
    assert_eq!(touch(&mut y, 1, Access::Overwrite, 8..12), [0; 0]);
    assert_eq!(inherits(&mut y, Access::ReadWrite, 8..32), Some(7));
    assert_eq!(inherits(&mut y, Access::Overwrite, 0..64), None);
    assert_eq!(inherits(&mut y, Access::Read, 32..36), None, "all of it is good again");
}

/// A message that failed without any of these bytes.
fn fails(resource: &mut Resource, index: u32, bytes: Range<u64>) {
    touch(resource, index, Access::Overwrite, bytes);
    resource.fail(name(index), &error(u64::from(index)));
}

#[test]
fn what_failed_is_good_again_where_it_is_written_in_pieces() {
    use Access::{Overwrite, Read, ReadWrite};
    let mut x = Resource::default();
    fails(&mut x, 1, 400..800);
    assert_eq!(inherits(&mut x, Overwrite, 400..600), None);
    assert_eq!(inherits(&mut x, Read, 400..600), None, "one half");
    assert_eq!(inherits(&mut x, Read, 596..604), Some(1), "and not the other");
    assert_eq!(inherits(&mut x, ReadWrite, 600..800), Some(1), "what reads it does not heal it");
    assert_eq!(inherits(&mut x, Overwrite, 700..900), None);
    assert_eq!(inherits(&mut x, Read, 600..704), Some(1), "what lies between");
    assert_eq!(inherits(&mut x, Overwrite, 596..704), None, "over the edges of both");
    assert_eq!(inherits(&mut x, Read, 0..1000), None);
    assert!(!x.is_poisoned());
    fails(&mut x, 2, 400..800);
    assert_eq!(inherits(&mut x, Overwrite, 500..600), None);
    let read = |x: &mut Resource, bytes| inherits(x, Read, bytes);
    assert_eq!([400..500, 500..600, 600..800].map(|bytes| read(&mut x, bytes)), [Some(2), None, Some(2)]);
    // All of a buffer that is not whole grains, by quarters.
    let mut y = Resource::default();
    let of =
        |bytes: Range<u64>| Part::of(Region { mem: MemId(0), offset: bytes.start, bytes: bytes.end - bytes.start }, 63);
    y.poison.push((error(3), of(0..63)));
    for (offset, left) in [(0, true), (32, true), (48, true), (16, false)] {
        y.overwrite(9, of(offset..offset + 16));
        assert_eq!(y.is_poisoned(), left, "nothing is left behind the end");
    }
}

#[test]
fn pieces_that_would_be_too_many_stay_whole() {
    let mut x = Resource::default();
    fails(&mut x, 1, 0..800);
    for piece in 0..20 {
        assert_eq!(inherits(&mut x, Access::Overwrite, 40 * piece + 4..40 * piece + 8), None);
        assert!(x.poison.len() <= MOST_POISONED);
        let healed = (piece as usize) < MOST_POISONED - 1;
        let root = inherits(&mut x, Access::Read, 40 * piece + 4..40 * piece + 8);
        assert_eq!(root, (!healed).then_some(1), "the last part is not cut");
    }
    assert_eq!(inherits(&mut x, Access::Overwrite, 0..40), None, "which makes room for two");
    assert_eq!(inherits(&mut x, Access::Overwrite, 404..408), None);
    assert_eq!(inherits(&mut x, Access::Read, 404..408), None);
    // Pieces of one message, when it fails: what lies between them goes with them, and nothing beside.
    let mut y = Resource::default();
    touch(&mut y, 1, Access::Overwrite, 400..1200);
    for piece in 0..20 {
        touch(&mut y, 2, Access::Overwrite, 400 + 40 * piece + 4..400 + 40 * piece + 8);
    }
    y.fail(name(1), &error(1));
    assert_eq!(inherits(&mut y, Access::Read, 444..448), Some(1));
    assert_eq!(inherits(&mut y, Access::Read, 0..400), None);
    assert_eq!(inherits(&mut y, Access::Read, 1200..1300), None);
}

#[test]
fn what_was_written_since_does_not_fail_with_who_wrote_it_before() {
    use Access::{Overwrite, Read};
    let mut x = Resource::default();
    touch(&mut x, 1, Overwrite, 0..400);
    assert_eq!(touch(&mut x, 2, Overwrite, 100..200), [1]);
    assert_eq!(touch(&mut x, 3, Overwrite, 300..500), [1]);
    assert_eq!(touch(&mut x, 4, Read, 100..200), [2], "it comes after the first by way of the second");
    assert_eq!(touch(&mut x, 5, Read, 0..500), [1, 2, 3], "two pieces of the first are one edge");
    x.fail(name(1), &error(1));
    let read = |x: &mut Resource, bytes| inherits(x, Read, bytes);
    assert_eq!([0..100, 200..300].map(|bytes| read(&mut x, bytes)), [Some(1), Some(1)]);
    assert_eq!([100..200, 300..500].map(|bytes| read(&mut x, bytes)), [None, None]);
    x.fail(name(3), &error(3));
    assert_eq!(read(&mut x, 300..500), Some(3));
}

/// Grains of the buffer of a program.
const GRAINS: usize = 12;

#[derive(Debug, Clone)]
enum Step {
    Touch(Access, Range<usize>),
    /// The `n`-th of those that are unresolved is over.
    Over {
        pick: usize,
        fails: bool,
    },
    /// Written where nothing is unresolved, at once.
    Pass(Range<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let range = || (0..GRAINS, 1..=GRAINS).prop_map(|(from, len)| from..(from + len).min(GRAINS));
    let access = prop::sample::select(vec![Access::Read, Access::Overwrite, Access::Overwrite, Access::ReadWrite]);
    prop_oneof![
        5 => (access, range()).prop_map(|(access, range)| Step::Touch(access, range)),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(pick, fails)| Step::Over { pick, fails }),
        1 => range().prop_map(Step::Pass),
    ]
}

/// What each grain by itself would know.
#[derive(Default)]
struct Model {
    resource: Resource,
    writer: [Option<u32>; GRAINS],
    is_poisoned: [bool; GRAINS],
    /// Unresolved, in order, each with those whose failure is its own.
    alive: Vec<(u32, Vec<u32>)>,
    /// There were too many parts to tell apart since the buffer was good.
    is_crowded: bool,
}

impl Model {
    fn part(range: &Range<usize>) -> Part {
        let bytes = 4 * range.len() as u64;
        Part::of(Region { mem: MemId(0), offset: 4 * range.start as u64, bytes }, 4 * GRAINS as u64 - 1)
    }

    fn crowd(&mut self, more: usize) {
        self.is_crowded |= self.resource.poison.len() + more > MOST_POISONED;
    }

    /// This message fails, and with it who reads what it should have written.
    fn fail(&mut self, index: u32) {
        let pieces = self.resource.writers.iter().filter(|(writer, _)| *writer == name(index)).count();
        self.crowd(pieces);
        self.resource.fail(name(index), &error(u64::from(index)));
        for grain in 0..GRAINS {
            self.is_poisoned[grain] |= self.writer[grain] == Some(index);
        }
        self.alive.retain(|(known, _)| *known != index);
        while let Some(&(next, _)) = self.alive.iter().find(|(_, needs)| needs.contains(&index)) {
            self.fail(next);
        }
    }

    fn write(&mut self, access: Access, range: &Range<usize>) {
        if access == Access::Overwrite {
            self.crowd(1);
            self.is_poisoned[range.clone()].fill(false);
        }
    }

    fn step(&mut self, index: u32, step: &Step) {
        match step {
            Step::Touch(access, range) => {
                let touch = Touch { buffer: name(0), access: *access, part: Self::part(range) };
                let (mut edges, alive) = (Vec::new(), &self.alive);
                let is_alive = |token: Token| alive.iter().any(|(known, _)| name(*known) == token);
                let inherited = self.resource.record(name(index), touch, &mut edges, is_alive);
                let is_lacking = access.reads() && self.is_poisoned[range.clone()].contains(&true);
                assert!(inherited.is_some() || !is_lacking, "reads what was never made");
                assert!(inherited.is_none() || is_lacking || self.is_crowded, "fails, and its data is there");
                let mut needs: Vec<u32> =
                    edges.iter().filter(|edge| edge.cause.is_data()).map(|edge| edge.on.index).collect();
                let writers = self.writer[range.clone()].iter().flatten().copied();
                let mut wrote: Vec<u32> = writers.filter(|&writer| access.reads() && is_alive(name(writer))).collect();
                needs.sort_unstable();
                wrote.sort_unstable();
                wrote.dedup();
                let (unique, of_all) = (needs.windows(2).all(|two| two[0] != two[1]), |one| needs.contains(one));
                assert!(unique && wrote.iter().all(of_all), "one edge for each who made some of what it reads");
                self.write(*access, range);
                if access.writes() {
                    self.writer[range.clone()].fill(Some(index));
                }
                self.alive.push((index, needs));
                if inherited.is_some() {
                    self.fail(index);
                }
            }
            Step::Over { pick, fails } if !self.alive.is_empty() => {
                // Nobody is over before those that it needs.
                let is_free = |needs: &[u32]| !self.alive.iter().any(|(other, _)| needs.contains(other));
                let free: Vec<u32> =
                    self.alive.iter().filter(|(_, needs)| is_free(needs)).map(|(index, _)| *index).collect();
                let index = free[pick % free.len()];
                if *fails {
                    self.fail(index);
                }
                self.alive.retain(|(known, _)| *known != index);
            }
            Step::Pass(range) if self.alive.is_empty() => {
                self.resource.overwrite(u64::from(index), Self::part(range));
                self.write(Access::Overwrite, range);
            }
            Step::Over { .. } | Step::Pass(_) => {}
        }
        assert!(self.resource.poison.len() <= MOST_POISONED);
        self.is_crowded &= self.resource.is_poisoned();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_grain_fails_until_it_is_written_anew(steps in prop::collection::vec(step(), 1..40)) {
        let mut model = Model::default();
        for (index, step) in (1..).zip(&steps) {
            model.step(index, step);
        }
        while let Some(&(index, _)) = model.alive.first() {
            model.step(0, &Step::Over { pick: index as usize, fails: index % 2 == 0 });
        }
        for quarter in 0..4 {
            model.step(0, &Step::Pass(3 * quarter..3 * quarter + 3));
        }
        assert!(!model.resource.is_poisoned(), "all of it was written anew");
    }
}
