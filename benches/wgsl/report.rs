//! What is printed: a text to read, or JSON lines with every sample. Of a test only who was verified.

use serde_json::json;

use crate::rows::Goal;

/// The version of the JSON lines.
const SCHEMA: u32 = 1;

pub(crate) struct Report {
    measured: bool,
    json: bool,
    cores: &'static str,
}

impl Report {
    pub(crate) fn new(measured: bool, json: bool, cores: &'static str) -> Self {
        if measured && !json {
            println!("# WGSL on {cores}: median (smallest-largest); the first line of a row is ours");
        }
        Self { measured, json, cores }
    }

    /// Says which version a peer has, or why it is skipped.
    pub(crate) fn peer<P>(&self, name: &str, peer: Result<P, String>, version: fn(&P) -> &String) -> Option<P> {
        let (version, skipped) = match &peer {
            Ok(peer) => (Some(version(peer)), None),
            Err(why) => (None, Some(why)),
        };
        if self.json {
            let line =
                json!({ "schema": SCHEMA, "cores": self.cores, "peer": name, "version": version, "skipped": skipped });
            println!("{line}");
        } else if let Some(version) = version {
            println!("# {name}: {version}");
        } else if let Some(why) = skipped {
            println!("# {name}: skipped: {why}");
        }
        peer.ok()
    }

    /// A row: arms with their goals and their samples in seconds, ours first.
    pub(crate) fn row(&self, name: &str, size: &str, arms: &[(&str, Goal, &[f64])]) {
        if !self.measured {
            let arms: Vec<&str> = arms.iter().map(|(arm, ..)| *arm).collect();
            println!("{name}: {size}: verified: {}", arms.join(", "));
            return;
        }
        if !self.json {
            println!("{name}: {size}");
        }
        let ours = arms[0].2;
        for (i, &(arm, goal, samples)) in arms.iter().enumerate() {
            let compared = (i > 0).then(|| goal.compare(ours, samples));
            if self.json {
                let line = json!({
                    "schema": SCHEMA, "cores": self.cores, "row": name, "size": size, "arm": arm, "seconds": samples,
                    "ours": compared.as_ref().map(|c| &c.words), "met": compared.and_then(|c| c.met),
                });
                println!("{line}");
            } else {
                let (low, high) = samples.iter().fold((f64::MAX, 0.0_f64), |(low, high), &s| (low.min(s), high.max(s)));
                let [low, mid, high] = [low, median(samples.iter().copied()), high].map(|seconds| seconds * 1e3);
                let compared = compared.map_or(String::new(), |c| c.words);
                println!("  {arm:16} {mid:9.3} ms ({low:.3}-{high:.3})  {compared}");
            }
        }
    }

    /// How long something of ours takes, and how long it may.
    pub(crate) fn time(&self, name: &str, arm: &str, samples: &[f64], at_most_ms: f64) {
        if !self.measured {
            println!("{name}: compiled: {arm}");
            return;
        }
        let mid = median(samples.iter().copied()) * 1e3;
        let met = mid <= at_most_ms;
        if self.json {
            let line = json!({ "schema": SCHEMA, "cores": self.cores, "row": name, "arm": arm, "seconds": samples, "met": met });
            println!("{line}");
        } else {
            let most = samples.iter().fold(0.0_f64, |most, &s| most.max(s)) * 1e3;
            println!("{name}: {arm}: {mid:.3} ms, at most {most:.3}  goal {at_most_ms} ms: {}", verdict(met));
        }
    }
}

/// Ours beside a peer.
struct Compared {
    words: String,
    met: Option<bool>,
}

impl Goal {
    fn compare(self, ours: &[f64], peer: &[f64]) -> Compared {
        let ratio = median(ours.iter().zip(peer).map(|(ours, peer)| peer / ours));
        let over = median(ours.iter().zip(peer).map(|(ours, peer)| (ours - peer) * 1e6));
        let words = match self {
            Self::Over(_) => format!("ours takes {over:.1} us more"),
            _ if ratio >= 1.0 => format!("ours is {ratio:.2}x faster"),
            _ => format!("ours is {:.2}x slower", 1.0 / ratio),
        };
        let (goal, met) = match self {
            Self::Print => return Compared { words, met: None },
            Self::Faster(least) => (format!("{least}x faster"), ratio >= least),
            Self::Slower(most) => (format!("at most {most}x slower"), ratio >= 1.0 / most),
            Self::Over(most) => (format!("at most {most} us"), over <= most),
        };
        Compared { words: format!("{words}  goal {goal}: {}", verdict(met)), met: Some(met) }
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

fn median(samples: impl Iterator<Item = f64>) -> f64 {
    let mut samples: Vec<f64> = samples.collect();
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
