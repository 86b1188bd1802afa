//! Which form of a kernel the CPU device runs: the one that is asked for, else the one that was measured to
//! be faster. What is measured is for devices of later programs, so these tests start some.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use wharf::{Device, Kernel, Twin, native::Dispatch};

const ROUNDS: u32 = 4000;

/// Much to do for each element, of which the native twin does next to nothing.
static FAST_TWIN: Kernel = Kernel::new(
    "scramble",
    "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
     @compute @workgroup_size(64)
     fn scramble(@builtin(global_invocation_id) id: vec3<u32>) {
         if id.x >= arrayLength(&x) { return; }
         var v = x[id.x];
         for (var i = 0u; i < 4000u; i += 1u) { v = v * 1664525u + 1013904223u; }
         x[id.x] = v;
     }",
)
.with_native(|dispatch: &mut Dispatch<'_>| {
    let (factor, summand) = scrambled();
    for x in dispatch.args[0].write::<u32>() {
        *x = x.wrapping_mul(factor).wrapping_add(summand);
    }
});

/// Next to nothing to do, over which the native twin falls asleep.
static SLOW_TWIN: Kernel = Kernel::new(
    "count",
    "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
     @compute @workgroup_size(64)
     fn count(@builtin(global_invocation_id) id: vec3<u32>) {
         if id.x < arrayLength(&x) { x[id.x] += 1u; }
     }",
)
.with_native(|dispatch: &mut Dispatch<'_>| {
    thread::sleep(Duration::from_millis(50));
    dispatch.args[0].write::<u32>().iter_mut().for_each(|x| *x += 1);
});

/// All rounds in one.
fn scrambled() -> (u32, u32) {
    (0..ROUNDS).fold((1, 0), |(factor, summand): (u32, u32), _| {
        (factor.wrapping_mul(1_664_525), summand.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
    })
}

/// Launches both kernels twice on one device, in place; gives the forms that ran. Whoever ran, and whatever
/// was measured, each launch did its work once.
fn launch_all(twin: Twin, len: usize) -> wharf::Result<Vec<&'static str>> {
    let device = Device::open_with("cpu", twin)?;
    let (factor, summand) = scrambled();
    let scramble = |x: u32| x.wrapping_mul(factor).wrapping_add(summand);
    let mut forms = Vec::new();
    for (kernel, once) in [(&FAST_TWIN, &scramble as &dyn Fn(u32) -> u32), (&SLOW_TWIN, &|x| x + 1)] {
        let x = device.buffer::<u32>(len)?;
        device.upload(&x).fill(|i| i as u32)?;
        for _ in 0..2 {
            let done = device.launch(kernel).bind(&x).groups([len.div_ceil(64) as u32, 1, 1]).run()?.wait();
            forms.push(done.receipt.form.expect("a launch has a form"));
            done.ok()?;
        }
        let twice: Vec<u32> = (0..len as u32).map(|i| once(once(i))).collect();
        assert_eq!(*device.download(&x).wait()?, *twice, "{}", kernel.name());
    }
    Ok(forms)
}

/// Enough to be measured.
const LEN: usize = 16 << 10;

#[test]
#[ignore = "the other tests run it, in a process of its own"]
fn child() -> wharf::Result<()> {
    let len = std::env::var("WHARF_TEST_LEN").ok().and_then(|len| len.parse().ok()).unwrap_or(LEN);
    launch_all(Twin::Any, len)?.iter().for_each(|form| println!("form={form}"));
    Ok(())
}

fn start(cache: &Path, len: usize) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "child", "--ignored", "--nocapture"]).stdout(Stdio::piped());
    command.env("WHARF_CACHE", cache).env("WHARF_TEST_LEN", len.to_string()).spawn().expect("it starts")
}

/// The forms of both launches of both kernels.
fn forms(child: Child) -> [String; 2] {
    let ended = child.wait_with_output().expect("it ends");
    let text = String::from_utf8(ended.stdout).expect("text");
    assert!(ended.status.success(), "{text}");
    let said: Vec<&str> = text.lines().filter_map(|line| line.split_once("form=").map(|(_, form)| form)).collect();
    assert!(said.len() == 4 && said[0] == said[1] && said[2] == said[3], "a device keeps its forms: {text}");
    [said[0].to_owned(), said[2].to_owned()]
}

fn is_unmeasured(forms: &[String; 2]) -> bool {
    forms.iter().all(|form| form == "native twin: not measured")
}

fn is_measured([fast, slow]: &[String; 2]) -> bool {
    fast == "native twin: measured faster" && slow.starts_with("simt ") && slow.ends_with(": measured faster")
}

/// The forms of a program that comes after both kernels were measured. A busy machine makes the native twin's sleep a
/// launch that takes too long to be done again, which the next program may do better; and where it stops in the moment
/// in which the WGSL runs, that has lost for good, and everything begins anew.
fn measured(cache: &Cache) -> [String; 2] {
    let mut after = Default::default();
    for _ in 0..3 {
        (0..20).take_while(|_| !cache.is_settled()).for_each(|_| drop(forms(start(&cache.0, LEN))));
        after = forms(start(&cache.0, LEN));
        if is_measured(&after) {
            break;
        }
        let _ = std::fs::remove_dir_all(&cache.0);
    }
    after
}

/// What no answer looks like.
const BROKEN: &str = "{\"question\": 3";

/// A folder of this test's own that is not there yet.
struct Cache(std::path::PathBuf);

impl Cache {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("wharf-twin-{}-{test}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    fn files(&self) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(self.0.join("twins"));
        entries.into_iter().flatten().map(|entry| entry.expect("an entry").path()).collect()
    }

    /// An answer for each kernel is kept.
    fn is_settled(&self) -> bool {
        let files = self.files();
        files.len() == 2 && files.iter().all(|file| std::fs::read_to_string(file).is_ok_and(|text| text != BROKEN))
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_form_that_is_asked_for_runs() -> wharf::Result<()> {
    assert_eq!(launch_all(Twin::Native, LEN)?, ["native twin: forced"; 4]);
    for form in launch_all(Twin::Simt, LEN)? {
        assert!(form.starts_with("simt ") && form.ends_with(": forced"), "{form}");
    }
    Ok(())
}

#[test]
fn programs_after_the_first_run_what_was_measured_to_be_faster() {
    let cache = Cache::new("measured");
    let first = forms(start(&cache.0, LEN));
    assert!(is_unmeasured(&first), "{first:?}");
    let after = measured(&cache);
    assert!(is_measured(&after), "{after:?}");
    assert_eq!(cache.files().len(), 2, "a file for each kernel");
}

#[test]
fn broken_files_are_measured_again() {
    let cache = Cache::new("broken");
    measured(&cache);
    assert_eq!(cache.files().len(), 2);
    for file in cache.files() {
        std::fs::write(file, BROKEN).expect("written");
    }
    let again = forms(start(&cache.0, LEN));
    assert!(is_unmeasured(&again), "{again:?}");
    let after = measured(&cache);
    assert!(is_measured(&after), "{after:?}");
}

#[test]
fn where_nothing_can_be_kept_everything_still_runs() {
    let cache = Cache::new("closed");
    // A file where the folder should be: nobody may write there, not even root.
    std::fs::write(&cache.0, "not a folder").expect("written");
    for _ in 0..2 {
        let forms = forms(start(&cache.0, LEN));
        assert!(is_unmeasured(&forms), "{forms:?}");
    }
}

#[test]
fn programs_that_measure_at_once_agree() {
    let cache = Cache::new("at-once");
    let children: Vec<Child> = (0..2).map(|_| start(&cache.0, LEN)).collect();
    children.into_iter().for_each(|child| drop(forms(child)));
    let after = measured(&cache);
    assert!(is_measured(&after), "{after:?}");
    assert_eq!(cache.files().len(), 2, "nothing is left of the writing: {:?}", cache.files());
}

#[test]
fn small_launches_are_not_measured() {
    let cache = Cache::new("small");
    let forms = forms(start(&cache.0, 1000));
    assert!(is_unmeasured(&forms), "{forms:?}");
    assert!(cache.files().is_empty(), "{:?}", cache.files());
}
