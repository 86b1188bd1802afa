//! NVRTC, NVIDIA's run-time compiler: CUDA source to PTX, on machines that have it.

#![expect(unsafe_code, reason = "a library that is found at run time is called through its C interface")]

use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::path::PathBuf;
use std::ptr;
use std::sync::OnceLock;

use libloading::Library;

use crate::Missing;
use crate::driver::load;

/// Names the library to be used as NVRTC.
pub const NVRTC_VARIABLE: &str = "WHARF_NVRTC";

/// The library's names, newest first.
const NAMES: &[&str] = if cfg!(windows) {
    &["nvrtc64_130_0.dll", "nvrtc64_120_0.dll", "nvrtc64_112_0.dll"]
} else {
    &["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so"]
};

/// Why there is no PTX.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NvrtcError {
    /// This machine has no NVRTC.
    Missing(Missing),
    /// The source does not compile; the compiler's log, with file, line and column.
    Compile(String),
    /// NVRTC answered another call with this code of its own.
    Call {
        /// The function.
        function: &'static str,
        /// What it answered.
        code: c_int,
    },
}

impl fmt::Display for NvrtcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => missing.fmt(f),
            Self::Compile(log) => f.write_str(log.lines().find(|line| !line.is_empty()).unwrap_or("no log")),
            Self::Call { function, code } => write!(f, "{function} answers {code}"),
        }
    }
}

impl std::error::Error for NvrtcError {}

/// A program of NVRTC's.
type Program = *mut c_void;

/// Reads one text of a program: first its size, then itself.
type Reader = (unsafe extern "C" fn(Program, *mut usize) -> c_int, unsafe extern "C" fn(Program, *mut c_char) -> c_int);

struct Nvrtc {
    create: unsafe extern "C" fn(
        *mut Program,
        *const c_char,
        *const c_char,
        c_int,
        *const *const c_char,
        *const *const c_char,
    ) -> c_int,
    compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int,
    log: Reader,
    ptx: Reader,
    destroy: unsafe extern "C" fn(*mut Program) -> c_int,
    /// Keeps the functions where they are.
    _library: Library,
}

/// The function of this name.
///
/// # Safety
///
/// `T` is the type of a function pointer, as NVRTC's header has it; it is not used once the library is
/// closed.
unsafe fn function<T: Copy>(library: &Library, name: &CStr) -> Result<T, String> {
    // SAFETY: the caller's promise.
    let found = unsafe { library.get::<T>(name) };
    found.map(|function| *function).map_err(|_| format!("it has no {}", name.to_string_lossy()))
}

impl Nvrtc {
    fn new(library: Library) -> Result<Self, String> {
        // SAFETY: the types are those of NVRTC's header, from CUDA 7 on; the library stays open beside
        // its functions.
        unsafe {
            Ok(Self {
                create: function(&library, c"nvrtcCreateProgram")?,
                compile: function(&library, c"nvrtcCompileProgram")?,
                log: (function(&library, c"nvrtcGetProgramLogSize")?, function(&library, c"nvrtcGetProgramLog")?),
                ptx: (function(&library, c"nvrtcGetPTXSize")?, function(&library, c"nvrtcGetPTX")?),
                destroy: function(&library, c"nvrtcDestroyProgram")?,
                _library: library,
            })
        }
    }

    fn open() -> Result<Self, Missing> {
        let named = env::var_os(NVRTC_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        let names: Vec<_> = match named {
            Some(path) => vec![path],
            None => NAMES.iter().map(PathBuf::from).collect(),
        };
        let mut first = None;
        for path in names {
            let opened = load("NVRTC", &path).and_then(|library| {
                Self::new(library).map_err(|reason| Missing { what: "NVRTC", looked_for: path, reason })
            });
            match opened {
                Ok(nvrtc) => return Ok(nvrtc),
                Err(missing) => first = first.or(Some(missing)),
            }
        }
        Err(first.expect("there is a name to try"))
    }
}

/// Compiles CUDA source to PTX. `name` is what the compiler calls the source in its log; options are
/// NVRTC's own, e.g. `--gpu-architecture=compute_70`.
///
/// # Errors
///
/// [`NvrtcError::Missing`] where the machine has no NVRTC, [`NvrtcError::Compile`] with the log where the
/// source does not compile, [`NvrtcError::Call`] where NVRTC refuses something else.
///
/// # Panics
///
/// Where the source, the name or an option holds a NUL.
pub fn compile(source: &str, name: &str, options: &[&str]) -> Result<String, NvrtcError> {
    static NVRTC: OnceLock<Result<Nvrtc, Missing>> = OnceLock::new();
    let nvrtc = NVRTC.get_or_init(Nvrtc::open).as_ref().map_err(|missing| NvrtcError::Missing(missing.clone()))?;
    let text = |text: &str| CString::new(text).expect("no NUL in CUDA source, names and options");
    let (source, name) = (text(source), text(name));
    let options: Vec<_> = options.iter().map(|option| text(option)).collect();
    let options: Vec<_> = options.iter().map(|option| option.as_ptr()).collect();

    let mut program = ptr::null_mut();
    // SAFETY: the program may be written, the texts end in NUL, and there are no headers.
    let created =
        unsafe { (nvrtc.create)(&raw mut program, source.as_ptr(), name.as_ptr(), 0, ptr::null(), ptr::null()) };
    answer("nvrtcCreateProgram", created)?;
    let program = Owned { program, nvrtc };
    // SAFETY: the program is alive, and there are as many options as are said.
    let compiled = unsafe { (nvrtc.compile)(program.program, options.len() as c_int, options.as_ptr()) };
    if compiled != 0 {
        return Err(NvrtcError::Compile(program.read("nvrtcGetProgramLog", nvrtc.log)?));
    }
    program.read("nvrtcGetPTX", nvrtc.ptx)
}

fn answer(function: &'static str, code: c_int) -> Result<(), NvrtcError> {
    if code == 0 { Ok(()) } else { Err(NvrtcError::Call { function, code }) }
}

struct Owned<'a> {
    program: Program,
    nvrtc: &'a Nvrtc,
}

impl Owned<'_> {
    fn read(&self, function: &'static str, (size, read): Reader) -> Result<String, NvrtcError> {
        let mut bytes = 0;
        // SAFETY: the program is alive and the size may be written.
        answer(function, unsafe { size(self.program, &raw mut bytes) })?;
        let mut text = vec![0_u8; bytes.max(1)];
        // SAFETY: the text has room for as many bytes as NVRTC said.
        answer(function, unsafe { read(self.program, text.as_mut_ptr().cast()) })?;
        let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
        Ok(text.to_string_lossy().into_owned())
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: the program is alive and is not used again.
        unsafe { (self.nvrtc.destroy)(&raw mut self.program) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_becomes_ptx_or_a_log_where_there_is_a_compiler() {
        let options = ["--gpu-architecture=compute_75"];
        let good = "extern \"C\" __global__ void twice(float* x) { x[threadIdx.x] *= 2.0f; }";
        match compile(good, "twice.cu", &options) {
            Ok(ptx) => assert!(ptx.contains(".entry twice("), "{ptx}"),
            Err(NvrtcError::Missing(missing)) => {
                assert!(missing.to_string().starts_with("no NVRTC: "), "{missing}");
                eprintln!("skipped: {missing}; {NVRTC_VARIABLE} names one");
                return;
            }
            Err(other) => panic!("{other}"),
        }
        match compile("__global__ void broken( {", "broken.cu", &options) {
            Err(NvrtcError::Compile(log)) => assert!(log.contains("broken.cu(1): error"), "{log}"),
            other => panic!("{other:?}"),
        }
    }
}
