//! What a trace of a batch run says, read as the data that it is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{documents::checked, folder, wharf};

/// One interval of a trace, in microseconds.
#[derive(Debug, Clone)]
struct Interval {
    track: (u64, u64),
    category: String,
    name: String,
    /// Of a stage of the host's its device, of a message its process.
    device: String,
    began: f64,
    ended: f64,
}

/// Sums of microseconds are rounded.
const NEARLY: f64 = 1e-3;

/// A run and its trace.
struct Traced {
    /// What the run printed.
    document: Value,
    /// By their tag.
    intervals: BTreeMap<u64, Vec<Interval>>,
    /// The tracks' names.
    tracks: BTreeMap<(u64, u64), String>,
    /// The processes' names.
    processes: BTreeMap<u64, String>,
    /// Async slices by their id: how many begin and how many end.
    asides: BTreeMap<u64, (u32, u32)>,
}

/// A batch run, traced.
#[track_caller]
fn traced(args: &[&str]) -> Traced {
    traced_command("batch", &[&["batch", "q6", "--json"], args].concat())
}

#[track_caller]
fn traced_command(command: &str, args: &[&str]) -> Traced {
    let folder = folder();
    let ended = wharf(folder.path(), &[&["trace", "t.json", "--"], args].concat());
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = std::fs::read_to_string(folder.path().join("t.json")).expect("written");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let (mut intervals, mut tracks) = (BTreeMap::<u64, Vec<Interval>>::new(), BTreeMap::new());
    let (mut processes, mut asides) = (BTreeMap::new(), BTreeMap::<u64, (u32, u32)>::new());
    for event in trace["traceEvents"].as_array().expect("a list") {
        let number = |name: &str| event[name].as_u64().expect("a number");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        match event["ph"].as_str() {
            Some("M") if event["name"] == "thread_name" => {
                let before = tracks.insert((number("pid"), number("tid")), text(&event["args"]["name"]));
                assert_eq!(before, None, "a track has one name");
            }
            Some("M") if event["name"] == "process_name" => {
                let before = processes.insert(number("pid"), text(&event["args"]["name"]));
                assert_eq!(before, None, "a process has one name");
            }
            Some("b") => asides.entry(number("id")).or_default().0 += 1,
            Some("e") => asides.entry(number("id")).or_default().1 += 1,
            Some("X") => {
                let began = event["ts"].as_f64().expect("a time");
                intervals.entry(event["args"]["tag"].as_u64().expect("a tag")).or_default().push(Interval {
                    track: (number("pid"), number("tid")),
                    category: text(&event["cat"]),
                    name: text(&event["name"]),
                    device: match event["args"].get("device") {
                        Some(device) => text(device),
                        None => processes[&number("pid")].clone(),
                    },
                    began,
                    ended: began + event["dur"].as_f64().expect("a time"),
                });
            }
            _ => {}
        }
    }
    Traced { document: checked(command, &ended.stdout), intervals, tracks, processes, asides }
}

/// The interval from the first beginning to the last end of those of a batch that `belongs` picks, and how many.
fn all(batch: &[Interval], belongs: impl Fn(&Interval) -> bool) -> (f64, f64, usize) {
    batch.iter().filter(|interval| belongs(interval)).fold((f64::MAX, f64::MIN, 0), |(began, ended, n), interval| {
        (began.min(interval.began), ended.max(interval.ended), n + 1)
    })
}

#[test]
fn each_batch_is_filled_goes_up_is_computed_comes_down_and_is_merged_in_this_order() {
    for device in ["cpu", "sim:", "sim:engines=1,overlap=no"] {
        let Traced { document, mut intervals, tracks, .. } =
            traced(&["--scale", "0.05", "--memory", "4MiB", "--device", device]);
        let outside = intervals.remove(&0).expect("what is measured outside the run");
        assert!(outside.iter().all(|interval| interval.category != "host"), "{device}: {outside:?}");
        let batches = document["batches"].as_u64().expect("a count");
        assert!(batches > 4, "{document}");
        assert_eq!(intervals.len() as u64, batches, "{device}: each has a number of its own");
        for (number, batch) in &intervals {
            let of = |category: &str| all(batch, |interval| interval.category == category);
            let stage = |name: &str| all(batch, |interval| interval.category == "host" && interval.name == name);
            let steps = [stage("fill"), of("upload"), of("compute"), of("download"), stage("merge")];
            assert_eq!(steps.map(|(.., n)| n), [1, 4, 1, 1, 1], "{device}, batch {number}: {batch:?}");
            assert_eq!(batch.len(), 8, "{device}, batch {number}: and nothing else");
            for pair in steps.windows(2) {
                assert!(pair[0].1 <= pair[1].0 + NEARLY, "{device}, batch {number}: {steps:?}");
            }
        }
        // On each of the host's tracks one thing is done at a time, and its name says what.
        let mut host: Vec<_> = intervals.into_values().flatten().filter(|i| i.category == "host").collect();
        host.sort_by(|a, b| (a.track, a.began).partial_cmp(&(b.track, b.began)).expect("no NaN"));
        for pair in host.windows(2).filter(|pair| pair[0].track == pair[1].track) {
            assert!(pair[0].ended <= pair[1].began + NEARLY, "{device}: {pair:?}");
        }
        assert!(host.iter().all(|interval| tracks[&interval.track].starts_with(&interval.name)), "{tracks:?}");
    }
}

#[test]
fn a_batch_that_was_lost_with_its_device_is_not_merged_and_its_number_is_not_given_again() {
    let Traced { document, mut intervals, processes, .. } =
        traced(&["--scale", "0.05", "--memory", "4MiB", "--device", "sim:lose@300us"]);
    let failures = serde_json::json!([{
        "device": "sim:lose@300us", "when": "in the run", "error": document["placements"][0]["ended"], "next": "cpu",
    }]);
    assert_eq!(document["failures"], failures);
    // Virtual and real time are told apart, the host's as well.
    let simulated = "sim:lose@300us (simulated time)";
    let mut names: Vec<_> = processes.values().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["cpu (real time)", "host (real time)", &format!("host of {simulated}"), simulated]);
    for interval in intervals.values().flatten() {
        let process = &processes[&interval.track.0];
        assert_eq!(process.contains("simulated"), interval.device.starts_with("sim"), "{interval:?} in {process}");
    }
    intervals.remove(&0);
    assert_eq!(document["device"], "cpu", "it went on there");
    let stages = |batch: &[Interval], name: &str| {
        batch.iter().filter(|interval| interval.category == "host" && interval.name == name).count()
    };
    let merged: usize = intervals.values().map(|batch| stages(batch, "merge")).sum();
    assert_eq!(merged as u64, document["batches"].as_u64().expect("a count"));
    assert!(intervals.values().all(|batch| stages(batch, "fill") <= 1 && stages(batch, "merge") <= 1));
    assert!(intervals.len() > merged, "some were lost");
    assert!(intervals.values().all(|batch| batch.iter().filter(|i| i.category == "download").count() <= 1));
}

/// A viewer draws what overlaps on a track wrongly; those that were done together are one above the other.
#[test]
fn no_two_slices_of_a_track_overlap_unless_they_were_done_together() {
    let soak = |device| ("soak", vec!["soak", "--json", "--minutes", "0.01", "--device", device]);
    let batch =
        |device| ("batch", vec!["batch", "q6", "--json", "--scale", "0.1", "--memory", "8MiB", "--device", device]);
    let there = crate::run::devices(folder().path());
    let mut commands: Vec<_> = there.into_iter().flat_map(|device| [soak(device), batch(device)]).collect();
    commands.extend([soak("faulty"), batch("sim:"), batch("sim:lose@300us")]);
    let mut several = 0;
    for (command, args) in commands {
        let Traced { intervals, tracks, asides, .. } = traced_command(command, &args);
        let mut slices: Vec<_> = intervals.into_values().flatten().collect();
        let key = |i: &Interval| (i.track, i.began, -i.ended);
        slices.sort_by(|a, b| key(a).partial_cmp(&key(b)).expect("no NaN"));
        // When those that are open began and end.
        let (mut track, mut open) = ((0, 0), Vec::<(f64, f64)>::new());
        for slice in &slices {
            if slice.track != track {
                (track, open) = (slice.track, Vec::new());
            }
            open.retain(|(_, end)| *end > slice.began + NEARLY);
            let together = |(began, ended): &(f64, f64)| {
                (slice.began - began).abs() <= NEARLY && (slice.ended - ended).abs() <= NEARLY
            };
            assert!(open.iter().all(together), "{args:?}: {slice:?} overlaps another");
            open.push((slice.began, slice.ended));
            assert!(tracks.contains_key(&slice.track), "{args:?}: {slice:?} stands on a track without a name");
        }
        several +=
            tracks.values().filter(|name| ["upload 2", "compute 2", "download 2"].contains(&name.as_str())).count();
        assert!(asides.values().all(|ends| *ends == (1, 1)), "{args:?}: each begins and ends");
        assert!(command == "batch" || !asides.is_empty(), "{args:?}: a soak cancels, and has fences");
    }
    assert!(several > 0, "some overlapped");
}
