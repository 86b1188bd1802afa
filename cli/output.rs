//! Data goes to stdout, in one piece; files appear whole or not at all.

use std::{
    fmt, fs,
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

/// Says a line on stderr that is neither data nor a failure.
pub(crate) fn note(what: impl fmt::Display) {
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "wharf: {what}");
}

/// `1 batch`, `2 batches`, `0 rows`.
pub(crate) fn counted(n: impl Into<u128>, what: &str) -> String {
    let n = n.into();
    let plural = if what.ends_with("ch") { "es" } else { "s" };
    format!("{n} {what}{}", if n == 1 { "" } else { plural })
}

/// `16 bytes`, `1.5 KiB`, `64.0 MiB`, `7.8 GiB`: in the largest unit of which there is one.
pub(crate) fn bytes(n: u64) -> String {
    match [(30, "GiB"), (20, "MiB"), (10, "KiB")].into_iter().find(|(power, _)| n >> power > 0) {
        Some((power, unit)) => format!("{:.1} {unit}", n as f64 / (1_u64 << power) as f64),
        None => counted(n, "byte"),
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
    interrupt::hold(|| Place::of(path).and_then(|place| place.beside()).map(drop))
}

/// Whether both are the same place, however it is written.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let whole = |path| {
        let Place { path, .. } = Place::of(path).ok()?;
        Some(fs::canonicalize(folder(&path)).ok()?.join(path.file_name()?))
    };
    one == other || whole(one).zip(whole(other)).is_some_and(|(one, other)| one == other)
}

/// Writes all files, or none: each is complete beside its place before the first takes it.
pub(crate) fn files(files: &[(PathBuf, Vec<u8>)]) -> Outcome {
    interrupt::hold(|| {
        let mut ready = Vec::with_capacity(files.len());
        for (path, bytes) in files {
            let place = Place::of(path)?;
            let mut file = place.beside()?;
            let written = file.as_file_mut().write_all(bytes).and_then(|()| place.keep_mode(file.as_file()));
            written.and_then(|()| file.as_file().sync_all()).map_err(|e| place.failed(&e))?;
            ready.push((file, place));
        }
        for (file, place) in ready {
            file.persist(&place.path).map_err(|e| place.failed(&e.error))?;
        }
        Ok(())
    })
}

/// Where a file goes.
struct Place<'a> {
    /// As the user wrote it.
    named: &'a Path,
    /// Behind all symbolic links: those stay as they are.
    path: PathBuf,
    /// The permissions of the file that is replaced.
    permissions: Option<fs::Permissions>,
}

impl<'a> Place<'a> {
    /// As many links as Linux follows.
    const MOST_LINKS: usize = 40;

    /// A new file, or an ordinary one that may be written to. Anything else would be destroyed by a
    /// file that takes its place.
    fn of(named: &'a Path) -> Outcome<Self> {
        let refused =
            |what: &str| Failure::usage(format_args!("{}: {what}, a file is to be written there", named.display()));
        let mut place = Self { named, path: named.to_owned(), permissions: None };
        match fs::metadata(named) {
            Ok(there) if there.is_dir() => return Err(refused("is a directory")),
            Ok(there) if !there.is_file() => return Err(refused("is a device, a pipe or a socket")),
            Ok(there) => {
                // Renaming needs no right to the file itself, writing does.
                fs::OpenOptions::new().write(true).open(named).map_err(|e| place.failed(&e))?;
                place.permissions = Some(there.permissions());
            }
            // What is wrong with the path is found where the file is made.
            Err(_) => {}
        }
        for _ in 0..Self::MOST_LINKS {
            let Ok(to) = fs::read_link(&place.path) else { return Ok(place) };
            place.path = folder(&place.path).join(to);
        }
        Err(refused("is one of too many symbolic links"))
    }

    /// A new file that nobody sees, in the same folder.
    fn beside(&self) -> Outcome<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".wharf-");
        // Temporary files are private; what takes their place is an ordinary file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(folder(&self.path)).map_err(|e| self.failed(&e))
    }

    fn keep_mode(&self, file: &fs::File) -> io::Result<()> {
        self.permissions.as_ref().map_or(Ok(()), |permissions| file.set_permissions(permissions.clone()))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        let reason = match error.kind() {
            io::ErrorKind::NotFound if folder(&self.path).is_dir() => "its folder takes no new files".to_owned(),
            io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            io::ErrorKind::NotADirectory => "its folder is a file".to_owned(),
            // The temporary file's name means nothing to the user.
            _ => error.to_string().split(" at path \"").next().unwrap_or_default().to_owned(),
        };
        Failure::usage(format_args!("{}: cannot be written: {reason}", self.named.display()))
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_one_or_several() {
        let told = |n: u64| [counted(n, "batch"), counted(n, "row"), bytes(n)];
        assert_eq!(told(0), ["0 batches", "0 rows", "0 bytes"]);
        assert_eq!(told(1), ["1 batch", "1 row", "1 byte"]);
        assert_eq!(told(2), ["2 batches", "2 rows", "2 bytes"]);
    }

    #[test]
    fn bytes_are_told_in_a_unit_of_which_there_are_some() {
        for (n, expected) in [
            (16, "16 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (64 << 20, "64.0 MiB"),
            (8_375_186_227, "7.8 GiB"),
            (u64::MAX, "17179869184.0 GiB"),
        ] {
            assert_eq!(bytes(n), expected);
        }
    }
}
