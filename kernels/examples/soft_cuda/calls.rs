//! The entry points, and the function that hands them out.

#![expect(unsafe_code, reason = "the driver's C interface is exported")]

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

use crate::device::{
    self, DEVICE, INVALID_CONTEXT, INVALID_DEVICE, INVALID_PTX, INVALID_VALUE, MEMORY, NOT_FOUND, OUT_OF_MEMORY,
    PINNED, PINNED_MEMORY, SUCCESS, pointer,
};
use crate::launch::{Launch, Module};
use crate::stream::{Event, Graph, Stream};
use wharf::Kernel;

type Ptr = *mut c_void;

/// The only context; its address is what counts.
static CONTEXT: u64 = 0;

thread_local! {
    static CURRENT: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

fn context() -> usize {
    (&raw const CONTEXT).addr()
}

/// What a call that needs the context answers before it does anything.
fn ready() -> Result<(), c_uint> {
    match (CURRENT.with_borrow(|stack| stack.last().copied()), device::sticky()) {
        (Some(current), SUCCESS) if current == context() => Ok(()),
        (_, SUCCESS) => Err(INVALID_CONTEXT),
        (_, sticky) => Err(sticky),
    }
}

/// Declares the entry points with their bodies, and the table that names them.
macro_rules! entry_points {
    ($($name:ident($($arg:ident: $type:ty),*) $body:block)*) => {
        $(
            #[expect(non_snake_case, reason = "the driver's name")]
            #[allow(unused_unsafe, reason = "some bodies touch nothing of the caller's")]
            unsafe extern "C" fn $name($($arg: $type),*) -> c_uint {
                // SAFETY: the caller keeps to the driver's contract: handles are alive, and what is
                // written or read through pointers is there.
                let body = || -> Result<(), c_uint> { unsafe { $body } };
                body().err().unwrap_or(SUCCESS)
            }
        )*

        fn find(name: &str) -> Option<*const ()> {
            match name {
                $(stringify!($name) => Some($name as *const ()),)*
                _ => None,
            }
        }
    };
}

/// The address of the entry point of this name, or null.
// SAFETY: the one name that a driver made of this library exports.
#[unsafe(no_mangle)]
unsafe extern "C" fn wharf_cuda_entry_point(name: *const c_char) -> *const () {
    // SAFETY: the caller passes a C string.
    let name = unsafe { CStr::from_ptr(name) };
    name.to_str().ok().and_then(find).unwrap_or(ptr::null())
}

/// What the driver answers of a device attribute; 0 for those that nobody here asks for.
fn attribute(attribute: c_uint) -> c_int {
    match attribute {
        1..=3 => 1024, // invocations of a workgroup, in all, x and y
        4 => 64,       // z
        5 => c_int::MAX,
        6 | 7 => 65_535,
        8 => 48 << 10, // workgroup memory
        10 => 32,      // subgroup
        40 => 2,       // copy engines
        75 => 7,       // compute capability
        _ => 0,
    }
}

entry_points! {
    cuInit(_flags: c_uint) { Ok(()) }
    cuDriverGetVersion(version: *mut c_int) { *version = 12_010; Ok(()) }
    cuGetErrorString(code: c_uint, text: *mut *const c_char) { *text = device::text(code).as_ptr(); Ok(()) }
    cuDeviceGetCount(count: *mut c_int) { *count = 1; Ok(()) }
    cuDeviceGet(device: *mut c_int, ordinal: c_int) {
        if ordinal != 0 { return Err(INVALID_DEVICE); }
        *device = 0;
        Ok(())
    }
    cuDeviceGetName(name: *mut c_char, len: c_int, _device: c_int) {
        let text = c"software CUDA driver".to_bytes_with_nul();
        if (len as usize) < text.len() { return Err(INVALID_VALUE); }
        text.as_ptr().copy_to_nonoverlapping(name.cast(), text.len());
        Ok(())
    }
    cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int) { *bytes = *MEMORY as usize; Ok(()) }
    cuDeviceGetAttribute(value: *mut c_int, which: c_uint, _device: c_int) { *value = attribute(which); Ok(()) }

    cuDevicePrimaryCtxRetain(into: *mut Ptr, _device: c_int) {
        *into = (&raw const CONTEXT).cast_mut().cast();
        Ok(())
    }
    cuDevicePrimaryCtxRelease_v2(_device: c_int) { Ok(()) }
    cuCtxPushCurrent_v2(new: Ptr) { CURRENT.with_borrow_mut(|stack| stack.push(new.addr())); Ok(()) }
    cuCtxPopCurrent_v2(into: *mut Ptr) {
        let popped = CURRENT.with_borrow_mut(Vec::pop).ok_or(INVALID_CONTEXT)?;
        *into = if popped == context() { (&raw const CONTEXT).cast_mut().cast() } else { ptr::null_mut() };
        Ok(())
    }
    cuCtxGetCurrent(into: *mut Ptr) {
        let is_current = CURRENT.with_borrow(|stack| stack.last() == Some(&context()));
        *into = if is_current { (&raw const CONTEXT).cast_mut().cast() } else { ptr::null_mut() };
        Ok(())
    }
    cuCtxSetCurrent(new: Ptr) {
        CURRENT.with_borrow_mut(|stack| {
            stack.pop();
            if !new.is_null() { stack.push(new.addr()); }
        });
        Ok(())
    }

    cuMemGetInfo_v2(free: *mut usize, total: *mut usize) {
        ready()?;
        *total = *MEMORY as usize;
        *free = (*MEMORY - DEVICE.in_use()) as usize;
        Ok(())
    }
    cuMemAlloc_v2(into: *mut u64, bytes: usize) {
        ready()?;
        device::call("alloc")?;
        *into = DEVICE.alloc(bytes, *MEMORY).ok_or(OUT_OF_MEMORY)?;
        Ok(())
    }
    cuMemFree_v2(address: u64) {
        ready()?;
        if DEVICE.free(address) { Ok(()) } else { Err(INVALID_VALUE) }
    }
    cuMemHostAlloc(into: *mut Ptr, bytes: usize, _flags: c_uint) {
        ready()?;
        device::call("pin")?;
        *into = pointer(PINNED.alloc(bytes, *PINNED_MEMORY).ok_or(OUT_OF_MEMORY)?).cast();
        Ok(())
    }
    cuMemFreeHost(address: Ptr) {
        ready()?;
        if PINNED.free(address.expose_provenance() as u64) { Ok(()) } else { Err(INVALID_VALUE) }
    }

    cuStreamCreateWithPriority(into: *mut *mut Stream, _flags: c_uint, _priority: c_int) {
        ready()?;
        device::call("stream")?;
        *into = Box::into_raw(Box::new(Stream::new()));
        Ok(())
    }
    cuStreamDestroy_v2(stream: *mut Stream) { drop(Box::from_raw(stream)); Ok(()) }
    cuStreamSynchronize(stream: *const Stream) {
        ready()?;
        device::call("finish")?;
        match (*stream).finish() { SUCCESS => Ok(()), code => Err(code) }
    }
    cuStreamWaitEvent(stream: *const Stream, event: *const Event, _flags: c_uint) {
        ready()?;
        device::call("wait")?;
        (*stream).wait_for(&*event)
    }
    cuEventCreate(into: *mut *mut Event, _flags: c_uint) {
        ready()?;
        device::call("event")?;
        *into = Box::into_raw(Box::default());
        Ok(())
    }
    cuEventDestroy_v2(event: *mut Event) { drop(Box::from_raw(event)); Ok(()) }
    cuEventRecord(event: *const Event, stream: *const Stream) {
        ready()?;
        device::call("record")?;
        (*event).record(&*stream);
        Ok(())
    }
    cuEventQuery(event: *const Event) {
        ready()?;
        device::call("query")?;
        match (*event).query() { SUCCESS => Ok(()), code => Err(code) }
    }
    cuEventSynchronize(event: *const Event) {
        ready()?;
        if let Some(mark) = (*event).last() { mark.wait(); }
        match device::sticky() { SUCCESS => Ok(()), code => Err(code) }
    }
    cuEventElapsedTime(into: *mut f32, from: *const Event, to: *const Event) {
        ready()?;
        *into = (*to).milliseconds_since(&*from).ok_or(device::NOT_READY)?;
        Ok(())
    }

    // Asynchronous copies: host memory is page-locked, or the call would have to wait.
    cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: *const Stream) {
        ready()?;
        let from = from.expose_provenance() as u64;
        if !DEVICE.holds(to, bytes as u64) || !PINNED.holds(from, bytes as u64) { return Err(INVALID_VALUE); }
        (*stream).run("upload", move || copy(to, from, bytes))
    }
    cuMemcpyDtoHAsync_v2(to: Ptr, from: u64, bytes: usize, stream: *const Stream) {
        ready()?;
        let to = to.expose_provenance() as u64;
        if !PINNED.holds(to, bytes as u64) || !DEVICE.holds(from, bytes as u64) { return Err(INVALID_VALUE); }
        (*stream).run("download", move || copy(to, from, bytes))
    }
    cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: *const Stream) {
        ready()?;
        if !DEVICE.holds(to, bytes as u64) || !DEVICE.holds(from, bytes as u64) { return Err(INVALID_VALUE); }
        (*stream).run("copy", move || copy(to, from, bytes))
    }
    cuMemsetD8Async(to: u64, value: u8, bytes: usize, stream: *const Stream) {
        ready()?;
        if !DEVICE.holds(to, bytes as u64) { return Err(INVALID_VALUE); }
        (*stream).run("clear", move || pointer(to).write_bytes(value, bytes))
    }

    cuStreamBeginCapture_v2(stream: *const Stream, _mode: c_uint) { ready()?; (*stream).begin_capture(); Ok(()) }
    cuStreamEndCapture(stream: *const Stream, into: *mut *mut Graph) {
        ready()?;
        *into = Box::into_raw(Box::new((*stream).end_capture()?));
        Ok(())
    }
    cuGraphInstantiateWithFlags(into: *mut *mut Graph, graph: *const Graph, _flags: u64) {
        ready()?;
        *into = Box::into_raw(Box::new((*graph).clone()));
        Ok(())
    }
    cuGraphDestroy(graph: *mut Graph) { drop(Box::from_raw(graph)); Ok(()) }
    cuGraphExecDestroy(executable: *mut Graph) { drop(Box::from_raw(executable)); Ok(()) }
    cuGraphLaunch(executable: *const Graph, stream: *const Stream) { ready()?; (*stream).launch(&*executable) }

    cuModuleLoadDataEx(into: *mut *mut Module, ptx: *const c_char, _n: c_uint, _options: Ptr, _values: Ptr) {
        ready()?;
        let ptx = CStr::from_ptr(ptx).to_str().map_err(|_| INVALID_PTX)?;
        *into = Box::into_raw(Box::new(Module::new(ptx).ok_or(INVALID_PTX)?));
        Ok(())
    }
    cuModuleUnload(module: *mut Module) { drop(Box::from_raw(module)); Ok(()) }
    cuModuleGetFunction(into: *mut *const Kernel, module: *const Module, name: *const c_char) {
        ready()?;
        let name = CStr::from_ptr(name).to_str().map_err(|_| NOT_FOUND)?;
        *into = (*module).function(name).ok_or(NOT_FOUND)?;
        Ok(())
    }
    cuLaunchKernel(
        kernel: *const Kernel, gx: c_uint, gy: c_uint, gz: c_uint, bx: c_uint, by: c_uint, bz: c_uint,
        _workgroup_bytes: c_uint, stream: *const Stream, arguments: *const *const c_void, _extra: Ptr
    ) {
        ready()?;
        let kernel: &'static Kernel = &*kernel;
        let declared = kernel.module().expect("library kernels are valid").workgroup_size(kernel.name(), &[]);
        if declared != Ok([bx, by, bz]) || [gx, gy, gz].contains(&0) { return Err(INVALID_VALUE); }
        let launch = Launch::read(kernel, [gx, gy, gz], arguments).ok_or(INVALID_VALUE)?;
        (*stream).run("launch", move || launch.run())
    }
}

fn copy(to: u64, from: u64, bytes: usize) {
    // SAFETY: both were found in blocks of that size, which whoever gave the work keeps until it is done.
    unsafe { pointer(from).copy_to(pointer(to), bytes) };
}
