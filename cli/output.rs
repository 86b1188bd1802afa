//! Data goes to stdout, in one piece; files appear whole or not at all.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::{
    exit::{Failure, Outcome},
    interrupt,
};

/// The version of all our JSON documents.
pub(crate) const SCHEMA: u32 = 1;

/// Prints text as it is.
pub(crate) fn text(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::silent()),
        Err(e) => Err(Failure::usage(format_args!("stdout: {e}"))),
    }
}

/// Prints one JSON document.
pub(crate) fn json(document: &impl Serialize) -> Outcome {
    let mut line = serde_json::to_string_pretty(document).expect("our documents are plain data");
    line.push('\n');
    text(&line)
}

/// Says early whether a file can be written, without making it.
pub(crate) fn check(path: &Path) -> Outcome {
    if path.is_dir() {
        return Err(Failure::usage(format_args!("{}: is a directory, a file is to be written there", path.display())));
    }
    interrupt::hold(|| NamedTempFile::new_in(folder(path)).map(drop))
        .map_err(|e| Failure::usage(format_args!("{}: cannot be written: {}", path.display(), reason(&e))))
}

/// Writes all files, or none: each is complete beside its place before the first takes it.
pub(crate) fn files(files: &[(PathBuf, Vec<u8>)]) -> Outcome {
    interrupt::hold(|| {
        let mut ready = Vec::with_capacity(files.len());
        for (path, bytes) in files {
            let failed =
                |e: io::Error| Failure::usage(format_args!("{}: cannot be written: {}", path.display(), reason(&e)));
            let mut file = NamedTempFile::new_in(folder(path)).map_err(failed)?;
            file.write_all(bytes).map_err(failed)?;
            allow_readers(file.as_file()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
            ready.push((file, path));
        }
        for (file, path) in ready {
            file.persist(path).map_err(|e| Failure::file(path, &e.error))?;
        }
        Ok(())
    })
}

/// Temporary files are private; what takes their place is an ordinary file.
fn allow_readers(file: &fs::File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The system's words without the temporary file's name.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "its folder is a file".to_owned(),
        _ => error.to_string(),
    }
}
