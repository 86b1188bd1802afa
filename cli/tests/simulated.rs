//! `--device sim:...`: real answers, computed times that are labelled so, and faults that are noticed.

use serde_json::Value;

use crate::{documents::checked, done, folder, refused, wharf};

const ROOT: &str = "\
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(64) fn root(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x < arrayLength(&x) { x[id.x] = sqrt(x[id.x]); }
}";

#[test]
fn devices_explains_what_a_description_comes_to() {
    let folder = folder();
    let args = ["devices", "--device", "sim:gen5x16,h200"];
    let text = done(folder.path(), &args);
    assert!(text.contains("h200 behind gen5x16, simulated") && text.contains("57.6 GB/s up"), "{text}");
    let document = checked("devices", &done(folder.path(), &[&args[..], &["--json"]].concat()));
    assert_eq!(document["devices"].as_array().map(Vec::len), Some(1));
    assert_eq!((&document["devices"][0]["kind"], &document["best"]), (&"sim".into(), &"cpu".into()));
    assert!(done(folder.path(), &["devices"]).contains("sim:..."));
    let help = done(folder.path(), &["help", "devices"]);
    assert!(help.contains("gen5x16") && help.contains("corrupt=5"), "{help}");
}

/// The help says what is not said, what a chunk pays, whose time counts and which fault stays: it is so.
#[test]
fn the_help_of_descriptions_is_true() {
    let folder = folder();
    let help = done(folder.path(), &["help", "devices"]);
    let words: Vec<&str> = help.split_whitespace().collect();
    let defaults = words.windows(2).find(|pair| pair[0] == "in" && pair[1].starts_with("sim:")).expect("named")[1];
    let facts = |device: &str| {
        let document = checked("devices", &done(folder.path(), &["devices", "--device", device, "--json"]));
        document["devices"][0]["capabilities"].clone()
    };
    assert_eq!(facts("sim:"), facts(defaults));
    assert_ne!(facts("sim:"), facts(&format!("{defaults},cap=8")), "a difference shows");
    assert_eq!(facts("sim:h100,gen3x4,h200,gen5x16"), facts("sim:gen5x16,h200"));
    assert_eq!(facts("sim:rate=1GB/s,latency=1ms,memory=1GB,gen5x16,h200"), facts("sim:gen5x16,h200"));

    std::fs::write(folder.path().join("root.wgsl"), ROOT).expect("written");
    let upload = |numbers: &str, items: &str| {
        let (bind, device) = (format!("x=iota:f32:{numbers}"), format!("sim:{items}"));
        wharf(folder.path(), &["run", "root.wgsl", "--bind", &bind, "--groups", "1", "--device", &device, "--json"])
    };
    let ms = |numbers| {
        let document = checked("run", &upload(numbers, "latency=1ms,rate=1TB/s").stdout);
        (document["times"]["upload"]["median"].as_f64().expect("seconds") * 1e3).floor()
    };
    assert_eq!((ms("1024"), ms("4194304")), (1.0, 4.0), "16 MiB go in four chunks");
    let unseen = upload("1024", "oom=1");
    let told = "wharf: sim:oom=1: tries for memory that another try made good: oom=1\n";
    assert_eq!((unseen.code, unseen.stderr.as_str()), (Some(0), told), "{unseen:?}");
    let stays = upload("1024", "exhaust=1");
    assert!(stays.code == Some(3) && stays.stderr.contains("out of memory"), "{stays:?}");
    let job = ["batch", "q6", "--scale", "0.02", "--no-fallback", "--device"];
    assert_eq!(wharf(folder.path(), &[&job[..], &["sim:lose@1s"]].concat()).code, Some(0));
    assert_eq!(wharf(folder.path(), &[&job[..], &["sim:lose@100us"]].concat()).code, Some(75));
}

#[test]
fn faults_that_nobody_has_met_are_told_of_in_one_line() {
    let folder = folder();
    std::fs::write(folder.path().join("root.wgsl"), ROOT).expect("written");
    let root = ["run", "root.wgsl", "--bind", "x=iota:f32:1024", "--groups", "1", "--out", "x=x.npy"];
    let q6 = ["batch", "q6", "--scale", "0.01"];
    let says = |args: &[&str], device: &str, code: i32, expected: &str| {
        let ended = wharf(folder.path(), &[args, &["--device", device]].concat());
        let notes: Vec<_> =
            ended.stderr.lines().filter(|line| line.starts_with(&format!("wharf: {device}: "))).collect();
        let expected = if expected.is_empty() { vec![] } else { vec![format!("wharf: {device}: {expected}")] };
        assert_eq!((ended.code, notes), (Some(code), expected.iter().map(String::as_str).collect()), "{ended:?}");
    };
    for args in [&root[..], &q6] {
        says(args, "sim:", 0, "");
        says(args, "sim:late=1:1us", 0, "");
        says(args, "sim:fail=900,lose@3600s", 0, "faults that did not happen: fail=900, lose@3600s");
        let both = "faults that did not happen: fail=900; tries for memory that another try made good: oom=1";
        says(args, "sim:oom=1,fail=900", 0, both);
        says(&[&["trace", "out.json", "--"], args].concat(), "sim:oom=1,fail=900", 0, both);
    }
    // Also where another fault of the script has ended it.
    says(&root, "sim:fail=1,fail=900", 3, "faults that did not happen: fail=900");
    // Each opening of a soak has the script; on none of them the last one comes.
    let soak = ["soak", "--minutes", "0.01"];
    says(&soak, "sim:gen5x16,late=3:1us,fail=1000000000", 0, "faults that did not happen: fail=1000000000");
    says(&["bench", "--quick"], "sim:memory=3MB,corrupt=100000", 0, "faults that did not happen: corrupt=100000");
}

#[test]
fn a_description_that_is_wrong_is_one_line() {
    let folder = folder();
    for (device, words) in [
        ("sim:gen7x16", ["gen7x16", "gen5x16, h200"]),
        ("sim:gen5x16,latency=6", ["latency=6", "as in 5ms"]),
        ("sim:late=3", ["late=3", "late=3:5ms"]),
    ] {
        refused(folder.path(), 2, &["devices", "--device", device], &words);
        refused(folder.path(), 2, &["batch", "q6", "--device", device], &words);
    }
}

#[test]
fn run_gives_real_answers_and_simulated_times() {
    let folder = folder();
    std::fs::write(folder.path().join("root.wgsl"), ROOT).expect("written");
    let args = ["run", "root.wgsl", "--bind", "x=value:4,9,16", "--out", "x=x.npy"];
    done(folder.path(), &[&args[..], &["--device", "cpu"]].concat());
    let expected = std::fs::read(folder.path().join("x.npy")).expect("written");
    let device = ["--device", "sim:latency=10us,launch=5us,rate=1GB/s"];
    let document = checked("run", &done(folder.path(), &[&args[..], &device, &["--json"]].concat()));
    assert_eq!(std::fs::read(folder.path().join("x.npy")).expect("written"), expected);
    assert_eq!(document["simulated"], true);
    let upload = &document["times"]["upload"];
    assert_eq!((&upload["clock"], upload["median"].as_f64()), (&"simulated".into(), Some(10.012e-6)));
    let text = done(folder.path(), &[&args[..], &device].concat());
    assert_eq!(text.matches("simulated clock").count(), 3, "{text}");
}

#[test]
fn batch_gives_the_answer_and_labels_what_is_simulated() {
    let folder = folder();
    let args = ["batch", "q6", "--scale", "0.05"];
    let answer = |document: &Value| document["answer"].clone();
    let on_cpu = checked("batch", &done(folder.path(), &[&args[..], &["--device", "cpu", "--json"]].concat()));
    let args = [&args[..], &["--device", "sim:gen4x16,a100"]].concat();
    let document = checked("batch", &done(folder.path(), &[&args[..], &["--json"]].concat()));
    assert_eq!(answer(&document), answer(&on_cpu));
    assert_eq!((&document["simulated"], &on_cpu["simulated"]), (&true.into(), &false.into()));
    assert!(document["overlap_efficiency"].is_null() && document["times_ideal"].is_null(), "{document}");
    let rate = document["gbytes_per_s_up"].as_f64().expect("it was copied");
    assert!(rate < 29.0, "within the link: {rate}");
    let text = done(folder.path(), &args);
    let labelled = |words: &str| text.lines().find(|line| line.trim_start().starts_with(words)).expect(words);
    for line in ["up ", "down ", "upload", "kernel", "download", "overlap"] {
        assert!(labelled(line).contains("simulated"), "{text}");
    }
}

#[test]
fn batch_goes_on_elsewhere_when_the_simulated_device_is_lost() {
    let folder = folder();
    let args = ["batch", "q6", "--scale", "0.05", "--device", "sim:lose@300us", "--json"];
    let ended = wharf(folder.path(), &args);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let document = checked("batch", &ended.stdout);
    assert_eq!(document["device"], "cpu");
    assert!(ended.stderr.contains("device lost"), "{ended:?}");
    // What was measured is not labelled as computed, nor the other way round.
    let simulated = |place: usize| document["placements"][place]["simulated"].clone();
    assert_eq!((simulated(0), simulated(1), &document["simulated"]), (true.into(), false.into(), &false.into()));
    let text = done(folder.path(), &args[..args.len() - 1]);
    let (figures, placements) = text.split_once("placement\n").expect("two of them");
    for line in ["up ", "down ", "upload", "kernel", "download"] {
        let found = figures.lines().find(|text| text.trim_start().starts_with(line)).expect(line);
        assert!(!found.contains("simulated"), "{text}");
    }
    let labels: Vec<bool> = placements.lines().map(|line| line.contains("simulated")).collect();
    assert_eq!(labels, [true, false], "{text}");
}

#[test]
fn a_corrupt_answer_is_noticed_at_any_scale() {
    let folder = folder();
    let args = |device| ["batch", "q6", "--scale", "0.02", "--device", device, "--json"];
    let ended = wharf(folder.path(), &args("sim:corrupt=2"));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("is not the host's"), "{ended:?}");
    let document = checked("batch", &ended.stdout);
    assert_eq!((&document["verified"], &document["published"]), (&false.into(), &Value::Null));
    let right = checked("batch", &done(folder.path(), &args("sim:")));
    assert_eq!((&right["verified"], &right["expected"]), (&true.into(), &document["expected"]));
    let measured = checked("batch", &done(folder.path(), &args("cpu")));
    assert_eq!((&measured["verified"], &measured["answer"]), (&Value::Null, &right["answer"]));
    assert!(done(folder.path(), &args("cpu")[..6]).contains("not verified"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_run_whose_device_hangs() {
    let folder = folder();
    let args = ["batch", "q6", "--device", "sim:never=30"];
    let ended = crate::interrupts::interrupted(folder.path(), &args);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(130), ""), "{ended:?}");
    assert!(ended.stderr.lines().count() == 1 && ended.stderr.contains("interrupted"), "{ended:?}");
}

/// F14: a bench whose data came back changed does not print a figure as if nothing had been.
#[test]
fn f14_bench_fails_where_a_download_is_corrupt() {
    let folder = folder();
    let args = ["bench", "--quick", "--device", "sim:memory=3MB,corrupt=7", "--json"];
    let ended = wharf(folder.path(), &args);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("data came back changed"), "{ended:?}");
    let document = checked("bench", &ended.stdout);
    assert_eq!(document["devices"][0]["simulated"], true);
    let transfers = document["devices"][0]["transfers"].as_array().expect("a list");
    assert!(transfers.iter().any(|transfer| transfer["verified"] == false));
}
