//! `wharf batch q6`: the answer, the bound, and every wrong input.

#[path = "../../batch/tests/parquet/write.rs"]
#[expect(dead_code, reason = "the library's own tests write more kinds of columns")]
mod write;

use crate::{documents::checked, done, folder, refused, run::devices};

#[test]
fn the_main_job_gives_the_published_answer() {
    let folder = folder();
    let document = checked("batch", &done(folder.path(), &["batch", "q6", "--json"]));
    assert_eq!(document["answer"], "123141078.2283");
    assert_eq!(document["rows"], 6_001_215);
    assert!(document["peak_staging_bytes"].as_u64() <= document["memory_bytes"].as_u64());
    let [efficiency, times_ideal] = ["overlap_efficiency", "times_ideal"].map(|figure| document[figure].as_f64());
    let is_possible = efficiency.is_some_and(|e| (-0.005..=1.005).contains(&e)) && times_ideal >= Some(0.995);
    assert_eq!(document["overlap_note"].is_null(), is_possible, "{document}");
    let text = done(folder.path(), &["batch", "run", "q6"]);
    assert!(text.contains("123141078.2283") && text.contains("as TPC-H publishes it"), "{text}");
    // Another run, with another efficiency: what stands there is right for that one.
    let (_, overlap) = text.split_once("overlap   ").expect("it was judged");
    let overlap = overlap.lines().next().expect("a line");
    if let Some(seconds) = overlap.strip_prefix("no measure: the run took ") {
        let (run, rest) = seconds.split_once(" s, and ").expect("seconds");
        let (_, ideal) = rest.split_once("an ideal of ").expect("the ideal");
        let [run, ideal] = [run, ideal].map(|text| text.split(' ').next().expect("a number").parse::<f64>());
        assert!(
            run.expect("seconds") <= ideal.expect("seconds") && overlap.ends_with("run again to measure"),
            "{text}"
        );
        return;
    }
    let (efficiency, rest) = overlap.strip_prefix("efficiency ").and_then(|t| t.split_once(" (")).expect("explained");
    let (words, rest) = rest.split_once("), ").expect("the words end");
    let times_ideal: f64 = rest.split_once('x').expect("a multiple").0.parse().expect("a number");
    let efficiency: f64 = efficiency.parse().expect("a number");
    let expected = if efficiency < -0.005 { "slower than one batch after the other" } else { "1 is ideal, 0 is none" };
    assert!(words == expected && efficiency <= 1.005 && times_ideal >= 0.995, "{text}");
}

#[test]
fn both_forms_of_the_kernel_give_the_same_answer() {
    let folder = folder();
    let answers = [("native", "native twin: forced"), ("simt", "simt ")].map(|(twin, form)| {
        let args = ["batch", "q6", "--scale", "0.01", "--twin", twin, "--json"];
        let document = checked("batch", &done(folder.path(), &args));
        assert!(document["form"].as_str().is_some_and(|ran| ran.starts_with(form)), "{document}");
        document["answer"].clone()
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_comparison_has_its_samples() {
    let folder = folder();
    let document = checked("batch", &done(folder.path(), &["batch", "q6", "--scale", "0.1", "--compare", "--json"]));
    let compare = &document["compare"];
    assert_eq!(compare["agree"], true);
    assert_eq!(compare["device"], "cpu");
    for way in ["ours", "serial", "rayon"] {
        assert!(compare[way]["samples"].as_array().expect("raw").len() >= 5, "{compare}");
    }
}

#[test]
fn staging_stays_under_a_small_bound() {
    let folder = folder();
    let args = ["batch", "q6", "--scale", "0.05", "--memory", "256KiB", "--json"];
    let document = checked("batch", &done(folder.path(), &args));
    let peak = document["peak_staging_bytes"].as_u64().expect("a number");
    assert!(peak > 0 && peak <= 256 << 10, "{peak}");
    refused(folder.path(), 2, &["batch", "q6", "--memory", "100KiB"], &["--memory", "102400", "196608"]);
    for size in ["lots", "-1MiB", "10XiB"] {
        refused(folder.path(), 2, &["batch", "q6", "--memory", size], &["--memory", "64MiB", "KiB", "TiB", "GB"]);
    }
    done(folder.path(), &["batch", "q6", "--scale", "0.01", "--memory", "10TiB"]);
}

#[test]
fn a_run_that_is_too_short_has_no_overlap_and_a_small_transfer_no_bandwidth() {
    let folder = folder();
    let args = ["batch", "q6", "--scale", "0.01"];
    let document = checked("batch", &done(folder.path(), &[&args[..], &["--json"]].concat()));
    assert_eq!(document["batches"], 1, "{document}");
    for figure in ["overlap_efficiency", "times_ideal", "gbytes_per_s_down", "gbytes_per_s_down_alone"] {
        assert!(document[figure].is_null(), "{figure}: {document}");
    }
    let text = done(folder.path(), &args);
    assert!(text.contains("overlap   not measured: 1 batch\n"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("down") && !line.contains("GB/s")), "{text}");
}

#[test]
fn uploads_that_share_their_time_with_kernels_have_no_rate_of_the_run() {
    let folder = folder();
    for device in devices(folder.path()) {
        let args = ["batch", "q6", "--scale", "0.3", "--device", device, "--json"];
        let document = checked("batch", &done(folder.path(), &args));
        let shares = document["shares_up"].as_bool().expect("said");
        assert!(device != "cpu" || !shares, "its lanes do not take turns: {document}");
        let copies = document["path_up"] != "direct";
        assert_eq!(document["gbytes_per_s_up"].is_null(), shares || !copies, "{document}");
        assert_eq!(document["gbytes_per_s_up_alone"].is_null(), !copies, "{document}");
        assert_eq!(document["placements"][0]["shares_up"], shares);
    }
}

#[test]
fn no_rows_have_no_revenue() {
    let folder = folder();
    let document = checked("batch", &done(folder.path(), &["batch", "q6", "--scale", "0", "--json"]));
    assert_eq!(document["answer"], "0.0000");
    assert_eq!(document["rows"], 0);
    done(folder.path(), &["batch", "q6", "--scale", "0", "--compare"]);
}

#[test]
fn parquet_is_read_and_every_wrong_file_is_42_with_one_line() {
    let folder = folder();
    let at = folder.path();
    write::file(&at.join("good.parquet"), &write::table(20_000), 6_000);
    let document = checked("batch", &done(at, &["batch", "q6", "--input", "good.parquet", "--json"]));
    assert_eq!(document["rows"], 20_000);

    let whole = std::fs::read(at.join("good.parquet")).expect("read");
    std::fs::write(at.join("cut.parquet"), &whole[..whole.len() / 2]).expect("written");
    std::fs::write(at.join("text.parquet"), "hello").expect("written");
    let mut columns = write::table(100);
    columns.remove(1);
    write::file(&at.join("narrow.parquet"), &columns, 100);
    let mut columns = write::table(100);
    columns[0] = write::Column::new("l_shipdate", write::Data::Text(100));
    write::file(&at.join("typed.parquet"), &columns, 100);
    let mut columns = write::table(20_000);
    (columns[2].optional, columns[2].null_at) = (true, Some(12_345));
    write::file(&at.join("null.parquet"), &columns, 6_000);
    for (file, words) in [
        ("missing.parquet", &["missing.parquet", "No such file"][..]),
        (".", &["directory"]),
        ("cut.parquet", &["cut.parquet", "truncated"]),
        ("text.parquet", &["text.parquet", "not a Parquet file"]),
        ("narrow.parquet", &["l_discount", "l_quantity"]),
        ("typed.parquet", &["l_shipdate", "DATE"]),
        ("null.parquet", &["l_quantity", "row 12345", "NULL"]),
    ] {
        refused(at, 42, &["batch", "q6", "--input", file], words);
    }
}

#[test]
fn a_wrong_command_line_is_2() {
    let folder = folder();
    let at = folder.path();
    refused(at, 2, &["batch"], &["JOB"]);
    refused(at, 2, &["batch", "q7"], &["q7", "q6"]);
    refused(at, 2, &["batch", "walk", "q6"], &["walk", "run"]);
    for scale in ["abc", "", "1,5"] {
        refused(at, 2, &["batch", "q6", "--scale", scale], &["--scale", "0, or a number from 0.0001 to 10000, is"]);
    }
    refused(at, 2, &["batch", "q6", "--scale", "-1"], &["scale -1"]);
    refused(at, 2, &["batch", "q6", "--scale", "NaN"], &["scale NaN"]);
    refused(at, 2, &["batch", "q6", "--device", "abacus"], &["abacus", "cpu"]);
    refused(at, 2, &["batch", "q6", "--device", "cpu:7"], &["cpu:7"]);
    refused(at, 2, &["batch", "q6", "--scale", "1", "--input", "x.parquet"], &["--scale", "--input"]);
    for verb in ["resume", "merge", "verify", "init", "submit"] {
        refused(at, 2, &["batch", verb, "q6"], &[verb, "reserved"]);
    }
    refused(at, 2, &["batch", "job.toml"], &["reserved"]);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130_and_one_line() {
    let folder = folder();
    let args = ["batch", "q6", "--scale", "1000"];
    let ended = crate::interrupts::interrupted(folder.path(), &args);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(130), ""), "{ended:?}");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("interrupted"), "{ended:?}");
}

/// The answer is there: what is missing says why, in the text and in the document.
#[test]
fn a_device_that_fails_after_the_run_is_told_of() {
    let folder = folder();
    // Six operations to warm up, six for the one batch of the run, and the second of the first one alone.
    let args = ["batch", "q6", "--scale", "0.001", "--device", "sim:fail=14"];
    let text = done(folder.path(), &args);
    let line = text.lines().find(|line| line.starts_with("overlap ")).expect("a line");
    assert!(line.contains("sim:fail=14 failed after the run") && line.contains("operation 14 fails"), "{text}");
    let small = done(folder.path(), &["batch", "q6", "--scale", "0.001"]);
    assert!(small.contains("; 1 batch of 131072 rows, ") && small.contains("measured: 1 batch\n"), "{small}");
    let document = checked("batch", &done(folder.path(), &[&args[..], &["--json"]].concat()));
    let [failure] = &document["failures"].as_array().expect("a list")[..] else { panic!("{document}") };
    assert_eq!((&failure["device"], &failure["when"]), (&"sim:fail=14".into(), &"after the run".into()));
    assert!(failure["next"].is_null() && failure["error"].as_str().is_some_and(|e| e.contains("operation 14")));
    assert_eq!(document["placements"].as_array().map(Vec::len), Some(1));
    let sound = checked("batch", &done(folder.path(), &["batch", "q6", "--scale", "0.02", "--json"]));
    assert_eq!(sound["failures"], serde_json::json!([]));
}
