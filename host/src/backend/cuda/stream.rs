//! Streams, and marks in them.

#![expect(unsafe_code, reason = "the driver's C interface is called")]

use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cust::sys;

use super::api::{Context, Result, check};
use super::module::Function;

/// Events that are used again and again: making one is slow.
#[derive(Debug)]
pub(super) struct Marks {
    idle: Mutex<Vec<Handle>>,
    context: Arc<Context>,
}

#[derive(Debug)]
struct Handle(sys::CUevent);

// SAFETY: the driver's handles may be used from any thread.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// A point in a stream. Goes back to its pool when dropped.
#[derive(Debug)]
pub(super) struct Mark {
    event: Handle,
    pool: Arc<Marks>,
}

impl Marks {
    pub(super) fn new(context: Arc<Context>) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), context })
    }

    pub(super) fn take(self: &Arc<Self>) -> Result<Mark> {
        const BLOCKING_SYNC: u32 = 1;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let event = match idle {
            Some(event) => event,
            None => {
                let mut event = ptr::null_mut();
                // SAFETY: `event` may be written.
                check("create event", unsafe { sys::cuEventCreate(&raw mut event, BLOCKING_SYNC) })?;
                Handle(event)
            }
        };
        Ok(Mark { event, pool: Arc::clone(self) })
    }
}

impl Drop for Marks {
    fn drop(&mut self) {
        let Ok(_entered) = self.context.enter() else { return };
        for event in self.idle.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // SAFETY: an event of ours that no mark holds.
            let _ = unsafe { sys::cuEventDestroy_v2(event.0) };
        }
    }
}

impl Mark {
    /// Whether the work before the mark is done.
    pub(super) fn is_reached(&self) -> Result<bool> {
        // SAFETY: the event is alive.
        match unsafe { sys::cuEventQuery(self.event.0) } {
            sys::CUresult::CUDA_ERROR_NOT_READY => Ok(false),
            code => check("query event", code).map(|()| true),
        }
    }

    /// Waits until the work before the mark is done: looks for a moment, then sleeps.
    pub(super) fn wait(&self) -> Result<()> {
        /// Waking up takes about as long.
        const LOOK: Duration = Duration::from_micros(20);
        let begin = Instant::now();
        while begin.elapsed() < LOOK {
            if self.is_reached()? {
                return Ok(());
            }
            std::thread::yield_now();
        }
        // SAFETY: the event is alive.
        check("wait for event", unsafe { sys::cuEventSynchronize(self.event.0) })
    }

    /// Seconds on the device's clock from an earlier mark; both are reached.
    pub(super) fn seconds_since(&self, earlier: &Self) -> Option<f64> {
        let mut milliseconds = 0.0;
        // SAFETY: both events are alive, and the time may be written.
        let code = unsafe { sys::cuEventElapsedTime(&raw mut milliseconds, earlier.event.0, self.event.0) };
        check("compare events", code).ok().map(|()| f64::from(milliseconds) / 1e3)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let event = Handle(std::mem::replace(&mut self.event.0, ptr::null_mut()));
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

/// A stream that does not wait for the process's default stream.
#[derive(Debug)]
pub(super) struct Stream {
    stream: sys::CUstream,
    context: Arc<Context>,
}

// SAFETY: the driver's handles may be used from any thread.
unsafe impl Send for Stream {}
// SAFETY: as above.
unsafe impl Sync for Stream {}

impl Stream {
    pub(super) fn new(context: &Arc<Context>) -> Result<Self> {
        const NON_BLOCKING: u32 = 1;
        let mut stream = ptr::null_mut();
        // SAFETY: `stream` may be written.
        check("create stream", unsafe { sys::cuStreamCreateWithPriority(&raw mut stream, NON_BLOCKING, 0) })?;
        Ok(Self { stream, context: Arc::clone(context) })
    }

    /// Marks the end of what was given to the stream so far.
    pub(super) fn record(&self, mark: &Mark) -> Result<()> {
        // SAFETY: stream and event are alive and of one context.
        check("record event", unsafe { sys::cuEventRecord(mark.event.0, self.stream) })
    }

    /// What is given to the stream from now on starts after the mark, which was recorded.
    pub(super) fn wait_for(&self, mark: &Mark) -> Result<()> {
        // SAFETY: stream and event are alive. The wait is for what the event stands for now.
        check("wait for another stream", unsafe { sys::cuStreamWaitEvent(self.stream, mark.event.0, 0) })
    }

    /// Host to device.
    ///
    /// # Safety
    ///
    /// `src` is page-locked, and stays as it is until a mark after this call is reached; `dst` is
    /// device memory of that size.
    pub(super) unsafe fn upload(&self, dst: u64, src: *const u8, bytes: u64) -> Result<()> {
        // SAFETY: the caller's promise.
        check("upload", unsafe { sys::cuMemcpyHtoDAsync_v2(dst, src.cast(), bytes as usize, self.stream) })
    }

    /// Device to host.
    ///
    /// # Safety
    ///
    /// `dst` is page-locked, and nobody's until a mark after this call is reached; `src` is device
    /// memory of that size.
    pub(super) unsafe fn download(&self, dst: *mut u8, src: u64, bytes: u64) -> Result<()> {
        // SAFETY: the caller's promise.
        check("download", unsafe { sys::cuMemcpyDtoHAsync_v2(dst.cast(), src, bytes as usize, self.stream) })
    }

    /// Device to device.
    ///
    /// # Safety
    ///
    /// Both are device memory of that size until a mark after this call is reached.
    pub(super) unsafe fn copy(&self, dst: u64, src: u64, bytes: u64) -> Result<()> {
        // SAFETY: the caller's promise.
        check("copy", unsafe { sys::cuMemcpyDtoDAsync_v2(dst, src, bytes as usize, self.stream) })
    }

    /// Zeroes.
    ///
    /// # Safety
    ///
    /// `dst` is device memory of that size until a mark after this call is reached.
    pub(super) unsafe fn clear(&self, dst: u64, bytes: u64) -> Result<()> {
        // SAFETY: the caller's promise.
        check("clear", unsafe { sys::cuMemsetD8Async(dst, 0, bytes as usize, self.stream) })
    }

    /// One dispatch; `parameters` points to one value for each parameter of the function.
    ///
    /// # Safety
    ///
    /// The values have the function's types, and the memory they point to stays until a mark after
    /// this call is reached. The values themselves are copied before the call returns.
    pub(super) unsafe fn launch(
        &self,
        function: &Function,
        groups: [u32; 3],
        workgroup: [u32; 3],
        parameters: &mut [*mut c_void],
    ) -> Result<()> {
        let ([gx, gy, gz], [bx, by, bz]) = (groups, workgroup);
        let (stream, parameters) = (self.stream, parameters.as_mut_ptr());
        // SAFETY: the caller's promise.
        check("launch", unsafe {
            sys::cuLaunchKernel(function.raw(), gx, gy, gz, bx, by, bz, 0, stream, parameters, ptr::null_mut())
        })
    }

    /// What is given to the stream until [`Stream::end_capture`] is not done but remembered. Nobody else
    /// gives it anything meanwhile.
    pub(super) fn begin_capture(&self) -> Result<()> {
        // Other threads may allocate meanwhile.
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        // SAFETY: the stream is alive.
        check("begin graph", unsafe { sys::cuStreamBeginCapture_v2(self.stream, mode) })
    }

    /// What was remembered: the caller's to destroy.
    pub(super) fn end_capture(&self) -> Result<sys::CUgraph> {
        let mut graph = ptr::null_mut();
        // SAFETY: the stream is alive, and `graph` may be written.
        check("end graph", unsafe { sys::cuStreamEndCapture(self.stream, &raw mut graph) })?;
        Ok(graph)
    }

    /// Everything that a graph remembers.
    ///
    /// # Safety
    ///
    /// The executable is alive, and what it remembers may be done now, as by the calls that were captured.
    pub(super) unsafe fn replay(&self, graph: sys::CUgraphExec) -> Result<()> {
        // SAFETY: the caller's promise.
        check("launch graph", unsafe { sys::cuGraphLaunch(graph, self.stream) })
    }

    /// Zeroes new memory, and waits for that.
    pub(super) fn zero(&self, dst: u64, bytes: u64) -> Result<()> {
        // SAFETY: the driver refuses what is not device memory, and the wait follows.
        unsafe { self.clear(dst, bytes)? };
        self.finish()
    }

    /// Sleeps until all that was given to the stream is done.
    pub(super) fn finish(&self) -> Result<()> {
        // SAFETY: the stream is alive.
        check("finish stream", unsafe { sys::cuStreamSynchronize(self.stream) })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let Ok(_entered) = self.context.enter() else { return };
        // SAFETY: the stream is ours; the driver ends it once its work is done.
        let _ = unsafe { sys::cuStreamDestroy_v2(self.stream) };
    }
}
