//! What is refused, each with its line and column: the files of `tests/refused` say in their last line where and how.

use std::path::Path;

use wharf_simt::{Engine, Module};

/// The error of the file, from the front door or from compiling its entry points.
fn refusal(text: &str) -> Option<String> {
    let module = match Module::new(text) {
        Ok(module) => module,
        Err(error) => return Some(error.to_string()),
    };
    let compile = |name: &str| module.compile(name, &[], Engine::Interpreter).err();
    module.entries().iter().find_map(|entry| compile(&entry.name)).map(|error| error.to_string())
}

#[test]
fn every_file_of_the_folder_is_refused_where_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "{} files", files.len());
    let mut wrong = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let expected = text.lines().last().and_then(|line| line.strip_prefix("//~ ")).unwrap_or("nothing");
        let got = refusal(&text).unwrap_or_else(|| "no error".into());
        if got != expected {
            wrong.push(format!("{}\n  says {expected}\n  but  {got}", path.file_name().unwrap().to_string_lossy()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
