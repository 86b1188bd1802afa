//! The engine itself, with its real machine, slabs, credits and tickets, on a device that only moves bytes. Shuttle
//! chooses which thread goes on at each lock, signal and atomic; memory is sequentially consistent, which is all
//! that is needed where everything but the baton is under locks: that is loom's (`baton`).
//!
//! ```sh
//! cargo test --release --manifest-path host/models/Cargo.toml -- --nocapture
//! ```

mod explore;
mod scarce;
mod scenes;

use explore::{SCHEDULES, drives, explore};

/// Every scene under many schedules, on each kind of device.
#[test]
fn no_order_of_steps_loses_or_doubles_an_end_or_leaves_anybody_waiting() {
    let mut all = 0;
    for (name, play) in scenes::SCENES.into_iter().chain(scarce::SCENES) {
        let schedules: usize =
            drives().into_iter().map(|script| explore(SCHEDULES, move || play(script.clone()))).sum();
        println!("{schedules:>8} schedules: {name}");
        all += schedules;
    }
    println!("{all:>8} schedules in all");
}
