//! Every kernel with one barrier less, and with one index shifted by one: the checker reports it, or
//! `mutants.txt` says why it need not.

use std::collections::BTreeMap;
use std::fmt::Write;

use wharf_kernels::{ALL, Inputs, Spec};

use crate::harness::{Groups, check};

/// A line each: kernel, what was changed, how, and the reason why the checker is silent.
const SILENT: &str = include_str!("mutants.txt");

/// What a reason may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// Another element that may be accessed there: memory is in order, only the answer is wrong. The oracle
    /// says so, in the same run.
    Answer,
    /// The answer is the same: said in words.
    Equivalent,
}

struct Mutant {
    /// As `mutants.txt` writes it.
    change: String,
    source: String,
}

/// The text with comments as blanks, so that places stay what they are.
fn without_comments(wgsl: &str) -> String {
    let mut text = String::with_capacity(wgsl.len());
    for line in wgsl.split_inclusive('\n') {
        let code = line.split("//").next().unwrap_or(line);
        text.push_str(code);
        text.extend(line[code.len()..].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    }
    text
}

/// Every mutant of a source.
fn mutants(wgsl: &str) -> Vec<Mutant> {
    let text = without_comments(wgsl);
    assert_eq!(text.len(), wgsl.len(), "comments in ASCII");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut all = Vec::new();
    let mut push = |change: String, range: std::ops::Range<usize>, new: &str| {
        let count = seen.entry(change.clone()).or_default();
        *count += 1;
        let change = if *count > 1 { format!("{change} ({count})") } else { change };
        all.push(Mutant { change, source: format!("{}{new}{}", &text[..range.start], &text[range.end..]) });
    };
    for barrier in ["workgroupBarrier();", "storageBarrier();"] {
        for (at, _) in text.match_indices(barrier) {
            push(format!("{barrier} deleted"), at..at + barrier.len(), "");
        }
    }
    for (open, _) in text.match_indices('[') {
        let name = text[..open].rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
        if name.is_empty() {
            continue;
        }
        let mut depth = 0;
        let length = text[open..].find(|c| {
            depth += match c {
                '[' => 1,
                ']' => -1,
                _ => 0,
            };
            depth == 0
        });
        let close = open + length.expect("brackets match");
        let index = &text[open + 1..close];
        for sign in ['+', '-'] {
            push(format!("{name}[{index}] {sign}1"), open + 1..close, &format!("({index}) {sign} 1u"));
        }
    }
    all
}

/// Cases that reach every access of a kernel: some end where a buffer ends, and some do not.
fn cases(name: &str) -> &'static [(usize, Inputs, Groups)] {
    use Groups::{All, Half};
    use Inputs::{Exact, Random};
    match name {
        "matmul" => &[(33, Exact, All), (64, Exact, All)],
        "transpose" => &[(64, Exact, All), (40, Exact, All)],
        "saxpy" => &[(1024, Exact, All), (2500, Exact, All)],
        "q6" => &[(1024, Exact, All), (2500, Random(1), All), (20_007, Random(2), Half)],
        "histogram" => &[(2048, Random(1), All), (5000, Exact, All)],
        // The reductions.
        _ => &[(2048, Exact, All), (3948, Exact, All), (10_007, Exact, Half)],
    }
}

/// What becomes of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is no valid WGSL any more.
    Refused,
    Reported,
    /// The checker finds nothing in any case; `right` if the oracle agrees as well.
    Silent {
        right: bool,
    },
}

fn verdict(spec: &Spec, mutant: &Mutant) -> Verdict {
    let mut right = true;
    for &(n, inputs, groups) in cases(spec.name) {
        let Ok(seen) = check(spec, &mutant.source, &(spec.case)(n, inputs), groups) else {
            return Verdict::Refused;
        };
        if !seen.findings.is_empty() {
            return Verdict::Reported;
        }
        right &= seen.answer.is_ok();
    }
    Verdict::Silent { right }
}

fn silent() -> BTreeMap<(String, String), Reason> {
    let lines = SILENT.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split(" | ").collect();
            let [kernel, change, reason] = parts[..] else { panic!("mutants.txt: three parts, not `{line}`") };
            let reason = if reason == "answer" { Reason::Answer } else { Reason::Equivalent };
            ((kernel.to_owned(), change.to_owned()), reason)
        })
        .collect()
}

#[test]
fn every_mutant_is_reported_or_listed() {
    let mut listed = silent();
    let mut verdicts = Vec::new();
    let mut wrong = String::new();
    for spec in ALL {
        for mutant in mutants(spec.kernels()[0].wgsl()) {
            let verdict = verdict(spec, &mutant);
            verdicts.push(verdict);
            let line = format!("{} | {}", spec.name, mutant.change);
            let complaint = match (verdict, listed.remove(&(spec.name.to_owned(), mutant.change))) {
                (Verdict::Silent { right: false }, None | Some(Reason::Equivalent)) => "only the answer is wrong",
                (Verdict::Silent { right: true }, None | Some(Reason::Answer)) => "the answer is right",
                (Verdict::Silent { .. }, Some(_)) | (_, None) => continue,
                (_, Some(_)) => "listed, and yet reported",
            };
            writeln!(wrong, "{line}: {complaint}").expect("room");
        }
    }
    for (kernel, change) in listed.into_keys() {
        writeln!(wrong, "{kernel} | {change}: listed, and there is no such mutant").expect("room");
    }
    let count = |verdict| verdicts.iter().filter(|&&other| other == verdict).count();
    eprintln!(
        "{} mutants: {} reported, {} refused by the compiler, {} wrong answers, {} equivalent",
        verdicts.len(),
        count(Verdict::Reported),
        count(Verdict::Refused),
        count(Verdict::Silent { right: false }),
        count(Verdict::Silent { right: true }),
    );
    assert!(wrong.is_empty(), "not as mutants.txt says:\n{wrong}");
}

#[test]
fn mutants_are_made_of_code_and_not_of_comments() {
    let wgsl = "// a[0]\nfn f() { x[i[j] + 1u] = 2u; workgroupBarrier(); } // b[1]";
    let changes: Vec<String> = mutants(wgsl).into_iter().map(|mutant| mutant.change).collect();
    let expected = ["workgroupBarrier(); deleted", "x[i[j] + 1u] +1", "x[i[j] + 1u] -1", "i[j] +1", "i[j] -1"];
    assert_eq!(changes, expected);
    assert_eq!(mutants(wgsl)[1].source.matches("x[(i[j] + 1u) + 1u] = 2u").count(), 1);
}
