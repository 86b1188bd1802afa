//! Random programs against a model that knows nothing of evictions.

use std::ops::Range;

use proptest::prelude::*;
use wharf::{Buffer, Device, Error, FailureKind, Options, Progress, Ticket};

use crate::{card, is_at_rest, words};

/// Words of a buffer; the card holds two, or three of the short ones.
const LONG: usize = 100 << 8;
const SHORT: usize = 80 << 8;
const BUFFERS: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    Write {
        buffer: usize,
        seed: usize,
    },
    WritePart {
        buffer: usize,
        at: usize,
        len: usize,
        seed: usize,
    },
    Clear {
        buffer: usize,
    },
    Copy {
        from: usize,
        to: usize,
    },
    Read {
        buffer: usize,
    },
    /// A message is described and dropped.
    Forget {
        buffer: usize,
        whole: bool,
    },
    /// Memory for a moment.
    Allocate {
        words: usize,
    },
    Replace {
        buffer: usize,
    },
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    let buffer = || 0..BUFFERS;
    prop_oneof![
        4 => (buffer(), any::<u16>()).prop_map(|(buffer, seed)| Step::Write { buffer, seed: seed.into() }),
        4 => (buffer(), 0..SHORT, 1..200_usize, any::<u16>())
            .prop_map(|(buffer, at, len, seed)| Step::WritePart { buffer, at, len, seed: seed.into() }),
        1 => buffer().prop_map(|buffer| Step::Clear { buffer }),
        2 => (buffer(), buffer()).prop_map(|(from, to)| Step::Copy { from, to }),
        6 => buffer().prop_map(|buffer| Step::Read { buffer }),
        1 => (buffer(), any::<bool>()).prop_map(|(buffer, whole)| Step::Forget { buffer, whole }),
        1 => (1..2 * LONG).prop_map(|words| Step::Allocate { words }),
        1 => buffer().prop_map(|buffer| Step::Replace { buffer }),
        2 => Just(Step::Collect),
    ]
}

#[derive(Debug, Clone)]
struct Contents {
    words: Vec<u32>,
    /// Words that a failure has left open. Who reads them fails; whoever writes over all of one ends it.
    open: Vec<Range<usize>>,
}

impl Contents {
    fn of(words: Vec<u32>) -> Self {
        Self { words, open: Vec::new() }
    }

    fn write(&mut self, at: usize, part: &[u32]) {
        let written = at..at + part.len();
        self.words[written.clone()].copy_from_slice(part);
        self.open.retain(|open| open.start < written.start || written.end < open.end);
    }
}

struct Run {
    device: Device,
    /// Each with what it holds.
    places: Vec<(Buffer<u32>, Contents)>,
    reads: Vec<(Ticket<Vec<u32>>, Contents)>,
    /// Faults were scripted: messages may fail, contents may not be wrong.
    fails: bool,
}

fn len(which: usize) -> usize {
    if which.is_multiple_of(2) { LONG } else { SHORT }
}

impl Run {
    fn new(device: Device, fails: bool) -> Self {
        // Where evictions fail one after another there may be no room at first: each try moves on in the script.
        let tries = if fails { 20 } else { 1 };
        let buffer = |which| (0..tries).find_map(|_| device.buffer(len(which)).ok()).expect("room");
        let place = |which| (buffer(which), Contents::of(vec![0; len(which)]));
        let places = (0..BUFFERS).map(place).collect();
        Self { device, places, reads: Vec::new(), fails }
    }

    /// A message that writes: waited for where it may fail, as what is there then follows from it.
    fn wrote(
        &mut self,
        buffer: usize,
        sent: Ticket<impl Send + 'static>,
        content: Contents,
        part: Option<Range<usize>>,
    ) {
        if !self.fails {
            drop(sent);
            self.places[buffer].1 = content;
            return;
        }
        match sent.wait().result {
            Ok(()) => self.places[buffer].1 = content,
            // It never began, as the contents had not come back: nothing has changed.
            Err(error)
                if part.is_some()
                    && matches!(&error.kind, FailureKind::Upstream { root } if &*root.queue == "evict") => {}
            Err(_) => self.places[buffer].1.open.push(part.unwrap_or(0..len(buffer))),
        }
    }

    /// What was sent; `None` where buffers that a failure has left open leave no room for it.
    fn room<T>(&self, sent: Result<T, impl Into<Error>>) -> Option<T> {
        match sent.map_err(Into::into) {
            Ok(sent) => Some(sent),
            Err(Error::OutOfMemory { .. }) if self.fails => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let device = self.device.clone();
        match *step {
            Step::Write { buffer, seed } => {
                let content = words(seed, len(buffer));
                let sent = device.upload(&self.places[buffer].0).send(content.clone());
                let Some(sent) = self.room(sent) else { return Ok(()) };
                self.wrote(buffer, sent, Contents::of(content), None);
            }
            Step::WritePart { buffer, at, len: most, seed } => {
                let part = words(seed, most.min(len(buffer) - at));
                let sent = device.upload(&self.places[buffer].0).at(at).copy_from(&part);
                let Some(sent) = self.room(sent) else { return Ok(()) };
                let mut content = self.places[buffer].1.clone();
                content.write(at, &part);
                self.wrote(buffer, sent, content, Some(at..at + part.len()));
            }
            Step::Clear { buffer } => {
                let sent = device.clear(&self.places[buffer].0).send();
                let Some(sent) = self.room(sent) else { return Ok(()) };
                self.wrote(buffer, sent, Contents::of(vec![0; len(buffer)]), None);
            }
            Step::Copy { from, to } if from != to && len(from) == len(to) => {
                let sent = device.copy(&self.places[from].0, &self.places[to].0).send();
                let Some(sent) = self.room(sent) else { return Ok(()) };
                let content = self.places[from].1.clone();
                self.wrote(to, sent, content, None);
            }
            Step::Copy { .. } => {}
            Step::Read { buffer } => {
                let (buffer, content) = &self.places[buffer];
                let Some(read) = self.room(device.download(buffer).send()) else { return Ok(()) };
                self.reads.push((read, content.clone()));
            }
            Step::Forget { buffer, whole } => {
                let buffer = &self.places[buffer].0;
                if whole {
                    drop(device.upload(buffer).message(vec![1; buffer.len()]).map_err(Error::from));
                } else {
                    drop(device.download(buffer).message(Vec::new()).map_err(Error::from));
                }
            }
            Step::Allocate { words } => drop(self.room(device.buffer::<u32>(words))),
            Step::Replace { buffer } => {
                if let Ok(new) = device.buffer(len(buffer)) {
                    self.places[buffer] = (new, Contents::of(vec![0; len(buffer)]));
                }
            }
            Step::Collect => self.collect()?,
        }
        Ok(())
    }

    fn collect(&mut self) -> Result<(), TestCaseError> {
        for (ticket, expected) in self.reads.drain(..) {
            match (ticket.wait().ok(), expected) {
                (Ok(got), expected) => {
                    prop_assert!(expected.open.is_empty(), "contents that never were made: {:?}", expected.open);
                    prop_assert!(got == expected.words, "other contents");
                }
                (Err(error), _) => prop_assert!(self.fails, "{error}"),
            }
        }
        Ok(())
    }
}

fn run(device: Device, fails: bool, steps: &[Step]) -> Result<u64, TestCaseError> {
    let mut run = Run::new(device, fails);
    for step in steps {
        run.step(step)?;
    }
    run.collect()?;
    let Run { device, places, .. } = run;
    drop(places);
    let evictions = device.stats().evictions;
    is_at_rest(&device);
    Ok(evictions)
}

const NAME: &str = "sim:memory=0.25MiB";

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn contents_are_what_they_would_be_with_more_memory(
        steps in proptest::collection::vec(step(), 10..80),
        by_hand in any::<bool>(),
    ) {
        let progress = if by_hand { Progress::Manual } else { Progress::Threads };
        let evictions = run(card(NAME, Options::new().progress(progress)), false, &steps)?;
        prop_assert!(evictions >= 4, "six buffers of which two fit");
    }

    #[test]
    fn where_messages_fail_no_contents_are_wrong(
        steps in proptest::collection::vec(step(), 10..80),
        faults in proptest::collection::btree_set(1..150_u64, 1..12),
    ) {
        let faults: String = faults.iter().map(|fault| format!(",fail={fault}")).collect();
        // By hand, so that the same operations fail in each run.
        let device = card(&format!("{NAME}{faults}"), Options::new().progress(Progress::Manual));
        run(device, true, &steps)?;
    }
}
