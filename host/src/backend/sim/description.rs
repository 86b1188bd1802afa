//! A simulated device in a line of text: `gen5x16,h200,latency=10us,fail=17`.

use std::{fmt, str::FromStr, time::Duration};

use super::{
    faults::Faults,
    parts::{self, CARDS, Card, LAUNCH, Link},
    time::Time,
};
use crate::error::{Error, Result};

/// What is simulated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Description {
    pub(super) link: Link,
    pub(super) card: Card,
    /// What each launch takes beside its bytes.
    pub(super) launch: Time,
    pub(super) copy_engines: u32,
    pub(super) overlap: bool,
    /// Commands that the driver takes before they end.
    pub(super) cap: u32,
    pub(super) seed: u64,
    /// An operation that runs longer loses the device.
    pub(super) watchdog: Option<Time>,
    pub(crate) faults: Faults,
}

impl Default for Description {
    /// An A100 behind PCI Express 4.0 with 16 lanes.
    fn default() -> Self {
        Self {
            link: parts::link("gen4x16").expect("a link of that name"),
            card: CARDS[2],
            launch: Time::of(LAUNCH),
            copy_engines: 2,
            overlap: true,
            cap: 512,
            seed: 0,
            watchdog: None,
            faults: Faults::new(),
        }
    }
}

/// Each item by an example, and what it says.
pub(crate) const ITEMS: [(&str, &str); 26] = [
    ("gen5x16", "a link: PCI Express, gen3 to gen5 with x1 to x16"),
    ("h200", "a card, h200, h100, a100 or 4090: memory and its bandwidth"),
    ("rate=25GB/s", "bytes per second of the link"),
    ("up=25GB/s", "the same, to the device only"),
    ("down=25GB/s", "the same, from the device only"),
    ("latency=6us", "what each transfer takes beside its bytes"),
    ("duplex=no", "the link carries one direction at a time"),
    ("memory=80GB", "bytes of the card"),
    ("bandwidth=2TB/s", "bytes per second between the card and its memory"),
    ("launch=4.5us", "what each launch takes beside its bytes"),
    ("engines=1", "engines for copies, 0 to 2"),
    ("overlap=no", "copies and kernels take turns"),
    ("cap=512", "operations that the driver takes before they end"),
    ("seed=7", "of everything random"),
    ("watchdog=1s", "an operation that runs longer loses the device"),
    ("fail=3", "operation 3 fails and does nothing"),
    ("exhaust=7", "operation 7 finds no memory and does nothing"),
    ("overtaken=6", "the end of operation 6 is reported behind that of another that has nothing to do with it"),
    ("late=3:5ms", "the end of operation 3 comes so much later"),
    ("never=9", "the end of operation 9 never comes"),
    ("twice=4:1ms", "the end of operation 4 is reported again, so much later"),
    ("lose@20ms", "the device is lost at this time"),
    ("oom=2", "the second try for memory finds none"),
    ("corrupt=5", "one bit of download 5 arrives changed"),
    ("block@8", "the driver makes its caller wait while 8 operations are unfinished"),
    ("reorder", "operations take one to four times as long, and ends are reported out of order, at random"),
];

/// The names of all items, as examples.
fn examples() -> String {
    ITEMS.map(|(example, _)| example).join(", ")
}

/// What it comes to: `57.6 GB/s up, 57.6 GB/s down, 6 us each; 4800 GB/s of memory, 4.5 us a launch`.
impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, card, launch, faults, .. } = self;
        let us = |time: Time| time.seconds() * 1e6;
        write!(f, "{:.1} GB/s up, {:.1} GB/s down, {} us each", link.up / 1e9, link.down / 1e9, us(link.latency))?;
        f.write_str(if link.duplex { "" } else { ", one way at a time" })?;
        write!(f, "; {} GB/s of memory, {} us a launch", card.bandwidth / 1e9, us(*launch))?;
        f.write_str(if *faults == Faults::new() { "" } else { "; with faults" })
    }
}

impl FromStr for Description {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut description = Self::default();
        for item in text.split(',').filter(|_| !text.is_empty()) {
            description.set(item).map_err(|reason| Error::argument(format!("sim: `{item}`"), reason))?;
        }
        Ok(description)
    }
}

/// A fault script in text, as it may follow a device: `fail=17,late=3:5ms,lose@20ms`.
impl FromStr for Faults {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut faults = Self::new();
        for item in text.split(',').filter(|_| !text.is_empty()) {
            let (key, value) = split(item);
            let wrong = |reason| Error::argument(format!("fault `{item}`"), reason);
            faults = match fault(faults, key, value).map_err(wrong)? {
                Ok(faults) => faults,
                Err(_) => return Err(wrong("is no fault of a simulated device".into())),
            };
        }
        Ok(faults)
    }
}

/// The word, and what stands behind `=` or `@`.
fn split(item: &str) -> (&str, &str) {
    let at = item.find(['=', '@']).unwrap_or(item.len());
    (&item[..at], item.get(at + 1..).unwrap_or(""))
}

impl Description {
    fn set(&mut self, item: &str) -> Result<(), String> {
        if let Some(link) = parts::link(item) {
            self.link = link;
            return Ok(());
        }
        if let Some(&card) = CARDS.iter().find(|card| card.name == item) {
            self.card = card;
            return Ok(());
        }
        let (key, value) = split(item);
        match key {
            "rate" => (self.link.up, self.link.down) = (rate(value)?, rate(value)?),
            "up" => self.link.up = rate(value)?,
            "down" => self.link.down = rate(value)?,
            "latency" => self.link.latency = time(value)?,
            "duplex" => self.link.duplex = yes(value)?,
            "memory" => {
                self.card.memory_bytes =
                    quantity(value, &BYTES, "a size in MB, MiB, GB, GiB or TB, as in 80GB,")? as u64
            }
            "bandwidth" => self.card.bandwidth = rate(value)?,
            "launch" => self.launch = time(value)?,
            "engines" => self.copy_engines = whole(value, 0..=2)? as u32,
            "overlap" => self.overlap = yes(value)?,
            "cap" => self.cap = whole(value, 1..=65_536)? as u32,
            "seed" => self.seed = whole(value, 0..=u64::MAX)?,
            "watchdog" => self.watchdog = Some(time(value)?),
            _ => match fault(std::mem::take(&mut self.faults), key, value)? {
                Ok(faults) => self.faults = faults,
                Err(_) => {
                    return Err(format!(
                        "is no part of a simulated device; there are links gen3x1 to gen5x16 and, by example: {}",
                        examples()
                    ));
                }
            },
        }
        Ok(())
    }
}

/// Adds a fault to the script; gives the script back where `key` is none.
fn fault(faults: Faults, key: &str, value: &str) -> Result<Result<Faults, Faults>, String> {
    let number = |text: &str| whole(text, 1..=u64::MAX);
    let span = |text: &str| time(text).map(Duration::from);
    Ok(Ok(match key {
        "fail" => faults.fail(number(value)?),
        "exhaust" => faults.exhaust(number(value)?),
        "overtaken" => faults.overtaken(number(value)?),
        "never" => faults.never(number(value)?),
        "oom" => faults.out_of_memory(number(value)?),
        "corrupt" => faults.corrupt(number(value)?),
        "late" => match value.split_once(':') {
            Some((n, by)) => faults.late(number(n)?, span(by)?),
            None => return Err("an operation and a time are expected, as in late=3:5ms".into()),
        },
        "twice" => match value.split_once(':') {
            Some((n, later)) => faults.twice(number(n)?, span(later)?),
            None => faults.twice(number(value)?, Duration::ZERO),
        },
        "lose" => faults.lose_at(span(value)?),
        "block" => faults.block_at(whole(value, 1..=65_536)? as usize),
        "reorder" if value.is_empty() => faults.reorder(),
        _ => return Ok(Err(faults)),
    }))
}

fn whole(text: &str, range: std::ops::RangeInclusive<u64>) -> Result<u64, String> {
    let number = text.parse().ok().filter(|n| range.contains(n));
    number.ok_or_else(|| match *range.end() {
        u64::MAX => format!("a whole number from {} on is expected", range.start()),
        end => format!("a whole number from {} to {end} is expected", range.start()),
    })
}

fn yes(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("yes or no is expected".into()),
    }
}

type Units = [(&'static str, f64)];

const BYTES: [(&str, f64); 5] =
    [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("GiB", (1_u64 << 30) as f64), ("MiB", (1_u64 << 20) as f64)];
const RATES: [(&str, f64); 3] = [("TB/s", 1e12), ("GB/s", 1e9), ("MB/s", 1e6)];
/// `s` comes last: it ends the others, too.
const TIMES: [(&str, f64); 4] = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];

/// A positive number with one of the units.
fn quantity(text: &str, units: &Units, expected: &str) -> Result<f64, String> {
    let parsed = units.iter().find_map(|(unit, by)| Some((text.strip_suffix(unit)?, by)));
    let value = parsed.and_then(|(number, by)| Some(number.parse::<f64>().ok()? * by));
    value.filter(|v| v.is_finite() && *v >= 0.0).ok_or_else(|| format!("{expected} is expected"))
}

fn rate(text: &str) -> Result<f64, String> {
    let expected = "a rate above 0, as in 25GB/s,";
    let rate = quantity(text, &RATES, expected)?;
    if rate > 0.0 { Ok(rate) } else { Err(format!("{expected} is expected")) }
}

fn time(text: &str) -> Result<Time, String> {
    // A day is long enough, and far from where sums of times would stop counting.
    let expected = "a time of up to a day, as in 5ms,";
    let seconds = quantity(text, &TIMES, expected)?;
    if seconds <= 86_400.0 { Ok(Time::of(seconds)) } else { Err(format!("{expected} is expected")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> Description {
        text.parse().expect(text)
    }

    #[test]
    fn a_line_describes_a_device() {
        assert_eq!(described(""), Description::default());
        assert_eq!(described("gen4x16,a100"), Description::default());
        let d =
            described("gen5x16,h200,duplex=no,latency=10us,up=25GB/s,engines=1,overlap=no,cap=8,seed=7,watchdog=2s");
        assert_eq!((d.link.name.as_str(), d.card.name), ("gen5x16", "h200"));
        assert_eq!((d.link.duplex, d.link.latency, d.link.up), (false, Time::of(10e-6), 25e9));
        assert_eq!((d.copy_engines, d.overlap, d.cap, d.seed, d.watchdog), (1, false, 8, 7, Some(Time::of(2.0))));
        assert_eq!(described("memory=1GiB,bandwidth=2TB/s").card.memory_bytes, 1 << 30);
    }

    #[test]
    fn a_script_of_faults_reads_like_its_builder() {
        let ms = Duration::from_millis;
        let script = "fail=17,lose@0.02s,late=3:5ms,never=9,twice=4,twice=5:1ms,reorder,block@8,oom=2,corrupt=5,\
                      exhaust=7,overtaken=6";
        let built = Faults::new().fail(17).lose_at(ms(20)).late(3, ms(5)).never(9).twice(4, Duration::ZERO);
        let built = built.twice(5, ms(1)).reorder().block_at(8).out_of_memory(2).corrupt(5).exhaust(7).overtaken(6);
        assert_eq!(script.parse::<Faults>().expect("a script"), built);
        assert_eq!(described(&format!("gen5x16,{script}")).faults, built);
    }

    #[test]
    fn every_item_can_be_read_and_the_docs_name_it() {
        let docs = include_str!("../../sim.rs");
        for (example, _) in ITEMS {
            described(example);
            assert!(docs.contains(&format!("`{example}`")), "{example}");
        }
        let all = ITEMS.map(|(example, _)| example).join(",");
        assert!(described(&all).to_string().ends_with("with faults"));
    }

    #[test]
    fn what_it_comes_to_is_told() {
        let told = "57.6 GB/s up, 57.6 GB/s down, 6 us each; 4800 GB/s of memory, 4.5 us a launch";
        assert_eq!(described("gen5x16,h200").to_string(), told);
        assert!(described("duplex=no").to_string().contains("6 us each, one way at a time; "));
    }

    #[test]
    fn what_is_wrong_is_one_line_that_says_what_would_be_right() {
        let whole = examples();
        for (text, line) in [
            (
                "gen7x16",
                &*format!(
                    "sim: `gen7x16`: is no part of a simulated device; there are links gen3x1 to gen5x16 and, by example: {whole}"
                ),
            ),
            (
                "h200,",
                &*format!(
                    "sim: ``: is no part of a simulated device; there are links gen3x1 to gen5x16 and, by example: {whole}"
                ),
            ),
            ("duplex=maybe", "sim: `duplex=maybe`: yes or no is expected"),
            ("engines=3", "sim: `engines=3`: a whole number from 0 to 2 is expected"),
            ("fail=0", "sim: `fail=0`: a whole number from 1 on is expected"),
            ("late=3", "sim: `late=3`: an operation and a time are expected, as in late=3:5ms"),
            ("rate=0GB/s", "sim: `rate=0GB/s`: a rate above 0, as in 25GB/s, is expected"),
            ("rate=25", "sim: `rate=25`: a rate above 0, as in 25GB/s, is expected"),
            ("memory=1kB", "sim: `memory=1kB`: a size in MB, MiB, GB, GiB or TB, as in 80GB, is expected"),
            ("latency=-1s", "sim: `latency=-1s`: a time of up to a day, as in 5ms, is expected"),
            ("lose@1e9s", "sim: `lose@1e9s`: a time of up to a day, as in 5ms, is expected"),
        ] {
            assert_eq!(text.parse::<Description>().expect_err(text).to_string(), line);
        }
        assert!("gen5x16".parse::<Faults>().is_err(), "a link is no fault");
    }
}
