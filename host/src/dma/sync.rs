//! The locks, signals and threads of the engine, by one name: `host/models` puts a model checker's in their
//! place.

#[cfg(wharf_models)]
pub(crate) use crate::models::sync::{
    Bug, Condvar, Mutex, MutexGuard, Once, atomic, channel, has, thread, thread_local,
};
#[cfg(not(wharf_models))]
pub(crate) use crossbeam::channel;
#[cfg(not(wharf_models))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, Once, atomic},
    thread, thread_local,
};
