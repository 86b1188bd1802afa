//! Which form of a kernel was the faster one on this machine: kept on disk, one small file for each kernel.
//!
//! A file is named by all that the answer depends on, and says it again inside. It is written whole under
//! another name and renamed, so that readers see all of it or nothing; of two processes that measure at
//! once the later one is kept. What cannot be read or is about something else counts as not there, and
//! what cannot be written is measured again by the next process: neither is an error.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use wharf_simt::Engine;

/// Names the folder for what is measured.
const FOLDER_VARIABLE: &str = "WHARF_CACHE";

/// What an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Question {
    /// Of the fields and of what they mean.
    schema: u32,
    wharf: String,
    kernel: String,
    /// The FNV-1a hash of the WGSL.
    wgsl: String,
    engine: String,
    cpu: String,
    threads: usize,
}

/// How long each form took for the same launch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Answer {
    native_us: f64,
    /// `None` where it was stopped or failed.
    simt_us: Option<f64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    question: Question,
    answer: Answer,
}

impl Question {
    pub(super) fn new(kernel: &str, wgsl: &str, engine: Engine, threads: usize) -> Self {
        Self {
            schema: 1,
            wharf: env!("CARGO_PKG_VERSION").into(),
            kernel: kernel.into(),
            wgsl: format!("{:016x}", fnv1a(wgsl.as_bytes())),
            engine: format!("{engine:?}"),
            cpu: cpu().into(),
            threads,
        }
    }

    fn file(&self, folder: &Path) -> PathBuf {
        let all = serde_json::to_vec(self).expect("plain data");
        folder.join(format!("{:016x}.json", fnv1a(&all)))
    }

    /// What was measured before.
    pub(super) fn answer(&self, folder: &Path) -> Option<Answer> {
        let text = fs::read(self.file(folder)).ok()?;
        let document: Document = serde_json::from_slice(&text).ok()?;
        (document.question == *self).then_some(document.answer)
    }

    /// Keeps what was measured, where it can be kept.
    pub(super) fn keep(&self, answer: Answer, folder: &Path) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let text = serde_json::to_vec_pretty(&Document { question: self.clone(), answer }).expect("plain data");
        let file = self.file(folder);
        let new = file.with_extension(format!("{}-{}.new", process::id(), NEXT.fetch_add(1, Relaxed)));
        let kept =
            fs::create_dir_all(folder).and_then(|()| fs::write(&new, text)).and_then(|()| fs::rename(&new, &file));
        if kept.is_err() {
            let _ = fs::remove_file(&new);
        }
    }
}

impl Answer {
    pub(super) fn new(native: Duration, simt: Option<Duration>) -> Self {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        Self { native_us: us(native), simt_us: simt.map(us) }
    }

    /// Whether the WGSL is to run: where it is faster by a tenth. Less than that is noise, and the native twin
    /// starts at once.
    pub(super) fn simt_is_faster(self) -> bool {
        self.simt_us.is_some_and(|simt| simt * 1.1 < self.native_us)
    }
}

/// Where answers are kept: `WHARF_CACHE`, else `wharf` in the user's cache folder; nowhere, where there is none.
pub(super) fn folder() -> Option<PathBuf> {
    let path = |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let of_the_user = || match env::consts::OS {
        "windows" => path("LOCALAPPDATA"),
        "macos" => Some(path("HOME")?.join("Library/Caches")),
        // The XDG base directory specification: a relative path is to be ignored.
        _ => path("XDG_CACHE_HOME").filter(|p| p.is_absolute()).or_else(|| Some(path("HOME")?.join(".cache"))),
    };
    path(FOLDER_VARIABLE).or_else(|| Some(of_the_user()?.join("wharf"))).map(|folder| folder.join("twins"))
}

/// The model of the CPU, as far as the system says it.
fn cpu() -> &'static str {
    static MODEL: OnceLock<String> = OnceLock::new();
    MODEL.get_or_init(|| {
        let listed = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let of = |name: &str| listed.lines().find_map(|line| Some(line.strip_prefix(name)?.split_once(": ")?.1));
        let model = of("model name").or(of("CPU part")).map(str::to_owned);
        let model = model.or_else(|| env::var("PROCESSOR_IDENTIFIER").ok());
        format!("{}, {}", env::consts::ARCH, model.as_deref().unwrap_or("unknown").trim())
    })
}

/// The same on every machine and with every compiler (Fowler, Noll, Vo: 64 bits, variant 1a).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const FASTER: Answer = Answer { native_us: 100.0, simt_us: Some(50.0) };

    fn question(wgsl: &str) -> Question {
        Question::new("k", wgsl, Engine::default(), 2)
    }

    /// A folder of this test's own, empty.
    fn folder(test: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("wharf-choice-{}-{test}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn an_answer_is_read_back_for_its_own_question_only() {
        let folder = folder("own");
        assert_eq!(question("a").answer(&folder), None);
        question("a").keep(FASTER, &folder);
        assert_eq!(question("a").answer(&folder), Some(FASTER));
        assert_eq!(question("b").answer(&folder), None);
        // The file of one question with the contents of another.
        fs::copy(question("a").file(&folder), question("b").file(&folder)).expect("copied");
        assert_eq!(question("b").answer(&folder), None);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_broken_file_counts_as_not_there_and_is_replaced() {
        let folder = folder("broken");
        question("a").keep(FASTER, &folder);
        let file = question("a").file(&folder);
        let whole = fs::read(&file).expect("kept");
        for broken in [&b""[..], b"{}", b"\xff\x00", &whole[..whole.len() / 2]] {
            fs::write(&file, broken).expect("written");
            assert_eq!(question("a").answer(&folder), None);
        }
        question("a").keep(FASTER, &folder);
        assert_eq!(question("a").answer(&folder), Some(FASTER));
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        // A file where the folder should be: nobody may write there, not even root.
        let folder = folder("closed");
        fs::write(&folder, "not a folder").expect("written");
        question("a").keep(FASTER, &folder);
        assert_eq!(question("a").answer(&folder), None);
        fs::remove_file(folder).expect("removed");
    }

    #[test]
    fn writers_at_the_same_time_leave_a_whole_file_and_nothing_else() {
        let folder = folder("race");
        let other = Answer { native_us: 7.0, simt_us: None };
        thread::scope(|scope| {
            for answer in [FASTER, other, FASTER, other] {
                let folder = &folder;
                scope.spawn(move || {
                    for _ in 0..50 {
                        question("a").keep(answer, folder);
                        let seen = question("a").answer(folder);
                        assert!(seen == Some(FASTER) || seen == Some(other), "{seen:?}");
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(&folder).expect("there").count(), 1);
        fs::remove_dir_all(folder).expect("removed");
    }

    #[test]
    fn the_wgsl_is_chosen_where_it_is_faster_by_more_than_noise() {
        for (native_us, simt_us, chosen) in
            [(100.0, Some(50.0), true), (100.0, Some(95.0), false), (100.0, Some(200.0), false), (100.0, None, false)]
        {
            assert_eq!(Answer { native_us, simt_us }.simt_is_faster(), chosen, "{native_us} {simt_us:?}");
        }
    }
}
