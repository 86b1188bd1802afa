//! `--device-memory`: a device that makes do with less memory than it has.

use crate::{documents::checked, done, folder, refused, run::devices, wharf};

fn bounded<'a>(device: &'a str, bytes: &'a str, args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--device", device, "--device-memory", bytes]].concat()
}

#[test]
fn a_bound_on_device_memory_is_kept_wherever_a_device_is_named() {
    let folder = folder();
    let at = folder.path();
    std::fs::write(at.join("root.wgsl"), include_str!("../../examples/root.wgsl")).expect("written");
    for device in devices(at).into_iter().chain(["sim"]) {
        let document = checked("devices", &done(at, &bounded(device, "64MiB", &["devices", "--json"])));
        assert_eq!(document["devices"][0]["capabilities"]["memory_bytes"], 64 << 20, "{device}");
        let job = ["run", "root.wgsl", "--bind", "x=iota:f32:1000", "--groups", "16"];
        done(at, &bounded(device, "4000", &job));
        refused(
            at,
            3,
            &bounded(device, "1KiB", &job),
            &["out of memory", "4000 bytes asked, 0 of 1024 bytes in use", "a larger --device-memory"],
        );
        if device == "cpu" {
            let line = "wharf: out of memory on cpu: 4000 bytes asked, 0 of 1024 bytes in use; less data at once, another \
                 --device, or a larger --device-memory where one is given, would help\n";
            assert_eq!(wharf(at, &bounded(device, "1KiB", &job)).stderr, line);
        }
        assert!(done(at, &bounded(device, "16", &["devices"])).contains(", 16 bytes of memory, "), "{device}");
        // Batches that do not fit become smaller ones.
        let batch = ["batch", "q6", "--scale", "0.02", "--no-fallback", "--json"];
        let document = checked("batch", &done(at, &bounded(device, "1MiB", &batch)));
        assert_eq!(document["rows"], 120_515, "{device}: {document}");
        let soak = ["soak", "--minutes", "0.005"];
        assert!(done(at, &bounded(device, "1MiB", &soak)).contains("0 violations"), "{device}");
    }
}

#[test]
fn a_bound_that_makes_no_sense_is_refused_in_a_line() {
    let folder = folder();
    let at = folder.path();
    let words = ["--device-memory", "no buffer fits 0 bytes"];
    refused(at, 2, &["devices", "--device", "cpu", "--device-memory", "0"], &words);
    for size in ["-1", "much", "64 megs"] {
        refused(at, 2, &["batch", "q6", "--device-memory", size], &["--device-memory", "a size is expected", "64MiB"]);
    }
    refused(at, 2, &["devices", "--device-memory", "1GiB"], &["--device names it"]);
    refused(at, 2, &["soak", "--minutes", "1", "--device-memory", "1kB"], &["1048576 bytes at least", "1000"]);
    // The words of `check` need no device.
    let ended = wharf(at, &["check", "x.wgsl", "--device-memory", "1GiB"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
