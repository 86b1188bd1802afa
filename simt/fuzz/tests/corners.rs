//! The hard corners of WGSL, on every engine and under the checker.

use std::time::Duration;

use wharf_simt::{Kind, Module, Severity};
use wharf_simt_fuzz::{Corner, ENGINES, check, corners, run};

#[test]
fn every_engine_is_right() {
    let mut wrong = Vec::new();
    for corner in corners() {
        let module = Module::new(&corner.wgsl).unwrap_or_else(|error| panic!("{}: {error}", corner.name));
        assert!(!module.entries().is_empty(), "{} has no entry point", corner.name);
        for entry in module.entries() {
            for &engine in ENGINES {
                let (set, contents) = (Corner::overrides(entry), Corner::contents(entry));
                let ran = run(&module, &entry.name, set, engine, [1, 1, 1], &contents, Duration::from_secs(20));
                let verdict = match ran {
                    Ok(ran) => {
                        assert_eq!(ran.engine, engine, "{}", corner.name);
                        Corner::verdict(entry, &ran.buffers)
                    }
                    Err(error) => Err(error.to_string()),
                };
                if let Err(lines) = verdict {
                    wrong.push(format!("{} {}, {engine:?}:\n{lines}", corner.name, entry.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// They are correct programs, but for what `bounds` does on purpose.
#[test]
fn the_checker_finds_no_error() {
    for corner in corners() {
        let module = Module::new(&corner.wgsl).unwrap_or_else(|error| panic!("{}: {error}", corner.name));
        for entry in module.entries() {
            let found = check(&module, entry, Corner::overrides(entry), &Corner::contents(entry), [1, 1, 1]);
            let found = found.unwrap_or_else(|error| panic!("{} {}: {error}", corner.name, entry.name));
            let mut errors = found.iter().filter(|finding| finding.severity == Severity::Error);
            if corner.name == "bounds" {
                assert!(errors.clone().count() > 10 && errors.all(|finding| finding.kind == Kind::Bounds));
            } else if let Some(error) = errors.next() {
                panic!("{} {}: {error}", corner.name, entry.name);
            }
        }
    }
}
