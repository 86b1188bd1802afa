//! `--json` prints one document that keeps to its committed schema; trace files load.

use serde_json::Value;

use crate::{done, files, folder, refused, schema, wharf};

#[track_caller]
pub(crate) fn checked(command: &str, text: &str) -> Value {
    let path = format!("{}/cli/schemas/{command}.json", env!("CARGO_MANIFEST_DIR"));
    let schema = std::fs::read_to_string(path).expect("a committed schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let document: Value = serde_json::from_str(text).expect("one JSON document");
    assert_eq!(schema::breach(&schema, &document, command), None);
    document
}

#[test]
fn devices_lists_the_cpu_device_and_says_why_others_are_not_there() {
    let folder = folder();
    let document = checked("devices", &done(folder.path(), &["devices", "--json"]));
    assert_eq!(document["best"], "cpu", "WHARF_DEVICE says so");
    let devices = document["devices"].as_array().expect("a list");
    for device in devices {
        let there = device["available"].as_bool().expect("said");
        assert_eq!(there, device["why_not"].is_null(), "{device}");
        assert_eq!(there, device["capabilities"].is_object(), "{device}");
    }
    let is = |kind: &str| devices.iter().any(|device| device["kind"] == kind);
    assert!(is("cpu") && is("cuda") && is("wgpu"), "{document}");
    let text = done(folder.path(), &["devices"]);
    assert!(text.contains("* cpu"), "{text}");
}

#[test]
fn kernels_lists_the_library_and_one_page() {
    let folder = folder();
    let all = checked("kernels", &done(folder.path(), &["kernels", "--json"]));
    assert!(all["kernels"].as_array().expect("a list").iter().any(|kernel| kernel["name"] == "q6"));
    let one = checked("kernels", &done(folder.path(), &["kernels", "q6", "--json"]));
    assert_eq!(one["kernels"].as_array().expect("a list").len(), 1);
    let text = done(folder.path(), &["kernels", "q6"]);
    assert!(text.contains("shipdate") && text.contains("array<u32>"), "{text}");
    assert!(text.contains("same bits on every device") && text.contains("can be split between devices"), "{text}");
    refused(folder.path(), 2, &["kernels", "q7"], &["q7", "q6"]);
}

#[test]
fn a_soak_checks_what_it_sends_and_says_how_it_ended() {
    let folder = folder();
    let args = ["soak", "--minutes", "0.02", "--device", "cpu", "--device", "faulty", "--seed", "3"];
    let document = checked("soak", &done(folder.path(), &[&args[..], &["--json"]].concat()));
    for device in document["devices"].as_array().expect("a list") {
        assert!(device["messages"].as_u64() > Some(100) && device["verified_bytes"].as_u64() > Some(0), "{device}");
        assert_eq!(device["violations"], serde_json::json!([]));
    }
    let faulty = &document["devices"][1]["outcomes"];
    assert!(faulty["failed: driver"].is_u64() && faulty["failed: upstream"].is_u64(), "{faulty}");
    assert!(done(folder.path(), &args).contains("0 violations"));
}

#[test]
fn a_soak_ends_with_1_where_a_download_is_wrong() {
    let folder = folder();
    // One of them may be of a message that is cancelled or dropped, of which nobody looks at the data.
    let wrong: Vec<String> = (60..80).map(|download| format!("corrupt={download}")).collect();
    let device = format!("sim:{}", wrong.join(","));
    let args = ["soak", "--minutes", "0.2", "--device", &device, "--json"];
    let ended = wharf(folder.path(), &args);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("came back with other data"), "{ended:?}");
    let document = checked("soak", &ended.stdout);
    assert!(document["devices"][0]["violations"].as_array().is_some_and(|violations| !violations.is_empty()));
}

#[test]
fn bench_verifies_its_data_and_keeps_its_samples() {
    let folder = folder();
    let text = done(folder.path(), &["bench", "--quick", "--out", ".", "--json"]);
    let document = checked("bench", &text);
    assert_eq!(document["devices"].as_array().map(Vec::len), Some(1), "WHARF_DEVICE says which");
    assert_eq!(document["devices"][0]["device"], "cpu");
    let transfers = document["devices"][0]["transfers"].as_array().expect("a list");
    assert!(
        transfers.iter().all(|t| t["verified"] == true
            && t["complete"] == true
            && !t["samples"].as_array().expect("raw").is_empty())
    );
    assert!(transfers.iter().any(|t| t["bytes"] == 1 << 28), "up to 256 MiB");
    assert!(document["devices"][0]["failed"].is_null());
    let file = std::fs::read_to_string(folder.path().join("bench.json")).expect("written");
    assert_eq!(checked("bench", &file), document);
    refused(folder.path(), 2, &["bench", "--out", "nowhere"], &["nowhere", "folder does not exist"]);
}

#[test]
fn a_trace_has_every_message_and_the_inner_exit_code() {
    let folder = folder();
    let ended = wharf(folder.path(), &["trace", "t.json", "--", "batch", "q6", "--scale", "0.05"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = std::fs::read_to_string(folder.path().join("t.json")).expect("written");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    let events = trace["traceEvents"].as_array().expect("a list");
    let count = |category: &str| events.iter().filter(|e| e["cat"] == category).count();
    assert!(count("upload") >= 4 && count("compute") >= 1 && count("download") >= 1, "{text}");
    let is_message = |e: &&Value| (e["ph"] == "X" && e["cat"] != "host") || e["ph"] == "b";
    let messages = events.iter().filter(is_message).count();
    assert_eq!(ended.stderr, format!("wharf: trace: t.json, {messages} messages\n"));
    let whole = |e: &&Value| e["ph"] != "X" || (e["ts"].is_number() && e["dur"].as_f64() >= Some(0.0));
    assert!(events.iter().all(|e| whole(&e)));
    let counters: Vec<_> = events.iter().filter(|e| e["ph"] == "C").collect();
    let level = |e: &Value, name: &str| e["args"][name].as_i64().expect("a count");
    assert!(counters.iter().all(|e| level(e, "credits in use") >= level(e, "in driver") && level(e, "in driver") >= 0));
    assert!(counters.iter().any(|e| level(e, "in driver") > 0), "{counters:?}");
    let last = |name: &str| counters.iter().rfind(|e| e["name"] == name).map(|e| level(e, "credits in use"));
    assert!(counters.iter().all(|e| last(e["name"].as_str().expect("a name")) == Some(0)), "all come back");
    let failed = wharf(folder.path(), &["trace", "u.json", "--", "batch", "q6", "--input", "no.parquet"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(42), ""), "{failed:?}");
    assert!(failed.stderr.starts_with("wharf: trace: u.json, 0 messages\nwharf: no.parquet: "), "{failed:?}");
    assert_eq!(failed.stderr.lines().count(), 2, "{failed:?}");
    assert_eq!(files(folder.path()), ["t.json", "u.json"], "it ran, and failed");
    refused(folder.path(), 2, &["trace", "no/u.json", "--", "devices"], &["no/u.json"]);
    refused(folder.path(), 2, &["trace", "v.json", "--", "frobnicate"], &["frobnicate"]);
    assert_eq!(files(folder.path()), ["t.json", "u.json"], "it never ran");
}

#[test]
fn messages_that_were_done_together_are_traced_as_such_and_have_no_rate() {
    let folder = folder();
    let (mut shared, mut alone) = (0, 0);
    // Small messages to the CPU device, and large ones to it, are done both ways.
    let args = ["trace", "t.json", "--", "soak", "--minutes", "0.01", "--device", "cpu"];
    done(folder.path(), &args);
    let text = std::fs::read_to_string(folder.path().join("t.json")).expect("written");
    let trace: Value = serde_json::from_str(&text).expect("JSON");
    for event in trace["traceEvents"].as_array().expect("a list").iter().filter(|e| e["ph"] == "X") {
        let (name, args) = (event["name"].as_str().expect("a name"), &event["args"]);
        let rate = args.get("gbytes_per_s");
        match args["together"].as_u64().expect("a count") {
            n @ 2.. => {
                shared += 1;
                assert!(name.ends_with(&format!(" (one of {n} together)")), "{event}");
                assert_eq!((&args["shared"], rate), (&true.into(), None), "{event}");
            }
            _ => {
                assert!(args.get("shared").is_none() && !name.contains("together"), "{event}");
                let is_copied = args["path"] != "direct" && args["path"] != "not moved";
                assert!(rate.is_none() || (is_copied && rate.is_some_and(Value::is_number)), "{event}");
                alone += u64::from(rate.is_some());
            }
        }
    }
    assert!(shared > 0 && alone > 0, "{shared} and {alone}");
}

/// A device that fails leaves what was measured before, and of several devices those before it.
#[test]
fn a_bench_that_fails_midway_prints_what_it_has_measured() {
    let folder = folder();
    // Each round of a size is two uploads and two downloads; the latency's 2,200 messages come before them.
    let device = "sim:memory=3MB,fail=3000";
    let args = ["bench", "--device", "cpu", "--device", device, "--device", "sim:", "--out", "."];
    let ended = wharf(folder.path(), &args);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(3), 1), "{ended:?}");
    let why = ended.stderr.trim_end().strip_prefix("wharf: ").expect("a line");
    let (of_cpu, of_sim) = ended.stdout.split_once(device).expect("both");
    assert!(of_cpu.contains("268435456") && !of_cpu.contains("not measured"), "{ended:?}");
    assert!(of_sim.contains("upload filled in place") && of_sim.contains("2000 samples"), "{ended:?}");
    assert!(of_sim.ends_with(&format!("  the rest was not measured: {why}\n")), "{ended:?}");
    assert_eq!(files(folder.path()), [""; 0], "a file is whole");

    let early = wharf(folder.path(), &["bench", "--device", "sim:fail=5", "--json"]);
    assert_eq!(early.code, Some(3), "{early:?}");
    let document = checked("bench", &early.stdout);
    let figures = &document["devices"][0];
    assert!(figures["latency"].is_null() && figures["transfers"] == serde_json::json!([]), "{document}");
    assert!(figures["failed"].is_string(), "{document}");
}

#[test]
fn a_bench_that_fails_within_a_size_keeps_its_samples_and_says_that_they_are_not_all() {
    let folder = folder();
    // The third upload is over and compared, what was filled in place after it is not: a round warms up.
    let device = "sim:memory=3MB,fail=2211";
    let ended = wharf(folder.path(), &["bench", "--device", device, "--json"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let document = checked("bench", &ended.stdout);
    let figures = &document["devices"][0];
    let transfers = figures["transfers"].as_array().expect("a list");
    let seen =
        transfers.iter().map(|t| (t["direction"].as_str(), t["samples"].as_array().map(Vec::len))).collect::<Vec<_>>();
    let expected = [("upload", 2), ("upload filled in place", 1), ("download", 1)].map(|(way, n)| (Some(way), Some(n)));
    assert_eq!(seen, expected, "{document}");
    assert!(transfers.iter().all(|t| t["bytes"] == 1024 && t["complete"] == false && t["verified"] == true));
    assert_eq!(figures["latency"]["complete"], true);
    let text = wharf(folder.path(), &["bench", "--device", device]).stdout;
    assert_eq!(text.lines().filter(|line| line.ends_with("  incomplete")).count(), 3, "{text}");

    // Of small messages, of which 200 warm up.
    let device = "sim:fail=2000";
    let ended = wharf(folder.path(), &["bench", "--device", device, "--json"]);
    let latency = &checked("bench", &ended.stdout)["devices"][0]["latency"];
    assert_eq!((latency["samples"].as_array().map(Vec::len), &latency["complete"]), (Some(1799), &false.into()));
    let text = wharf(folder.path(), &["bench", "--device", device]).stdout;
    assert!(text.contains(", 1799 samples, incomplete\n"), "{text}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_no_trace() {
    let folder = folder();
    let args = ["trace", "t.json", "--", "batch", "q6", "--scale", "1000"];
    let ended = crate::interrupts::interrupted(folder.path(), &args);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(130), ""), "{ended:?}");
    assert_eq!(files(folder.path()), [""; 0]);
}
