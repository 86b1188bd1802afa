//! The locks, signals and threads of the engine, by one name: `host/models` puts a model checker's in their
//! place.

#[cfg(not(wharf_models))]
pub(crate) use crossbeam::channel;
#[cfg(not(wharf_models))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, Once, atomic},
    thread, thread_local,
};

#[cfg(wharf_models)]
pub(crate) use crate::models::sync::{Condvar, Mutex, MutexGuard, Once, atomic, channel, thread, thread_local};
