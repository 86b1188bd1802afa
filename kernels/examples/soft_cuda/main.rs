//! A CUDA driver in software, for tests: `WHARF_CUDA_DRIVER` names this library, and the whole `cuda`
//! backend runs where there is no GPU.
//!
//! Streams are threads, so work is asynchronous as on a GPU; events, page-locked memory, result codes and
//! sticky errors follow the driver's rules as far as the backend relies on them. Launches run the native
//! twin of the library's kernel of that name.
//!
//! Graphs run what their captures left unordered side by side, the last first.
//!
//! What it cannot show: that PTX does what it should (it is only searched for the function's name; an
//! assembler checks the rest), how fast anything is, and what a GPU overlaps.
//!
//! | variable | what it does |
//! |---|---|
//! | `SOFT_CUDA_MEMORY` | bytes of device memory, 256 MiB where it is not set |
//! | `SOFT_CUDA_PINNED` | bytes of page-locked memory, as many as there are where it is not set |
//! | `SOFT_CUDA_DELAY_US` | how long each operation takes at least, 0 where it is not set |
//! | `SOFT_CUDA_DOOR` | the name of a file: launches wait for as long as there is one |
//! | `SOFT_CUDA_MEET` | what runs side by side or ends the context: `OP:N`, several with commas |
//! | `SOFT_CUDA_FAULT` | what fails: `OP:N:CODE`, several with commas |
//!
//! An OP that is to meet others goes on once N of them are under way; where they are not within a minute, the context
//! ends with 702. The N-th (from 1) OP fails with that code. Operations in a stream are `upload`, `download`, `launch`,
//! `clear` and `copy`: a sticky code (700, 702, 709, 710, 714 to 719) fails them when they run, any other is
//! the call's answer. `graph` is the launch of one. Calls are `alloc`, `pin`, `stream`, `finish`, `wait`,
//! `event`, `record` and `query`; they fail at once.

mod calls;
mod device;
mod launch;
mod stream;
