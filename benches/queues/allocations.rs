//! What a message allocates in the steady state: nothing of ours. What a driver allocates is its own.

use std::cell::RefCell;

use wharf::{BackendKind, Device, Options, Twin};
use wharf_kernels::SAXPY;

use crate::{Error, Size, counting, met, software};

/// Bytes of a transfer, and of each binding.
const BYTES: usize = 1 << 16;

/// Sends a message and waits for it.
type Send<'a> = &'a dyn Fn() -> Result<(), Error>;

pub(crate) fn run(size: Size) -> Result<(), Error> {
    for name in software::devices(&["cpu", "sim:", "wgpu"]) {
        let options = if name == "cpu" || name == "sim:" { Options::new().twin(Twin::Native) } else { Options::new() };
        match Device::open_with(name, options) {
            Ok(device) => on(&device, size)?,
            Err(e) if e.is_unavailable() => println!("allocations, {name}: skipped, {e}"),
            Err(e) => return Err(e.into()),
        }
    }
    software::run("allocations", size, &[])
}

fn on(device: &Device, size: Size) -> Result<(), Error> {
    let words = BYTES / 4;
    let [x, y] = [device.buffer::<f32>(words)?, device.buffer::<f32>(words)?];
    let host = RefCell::new(Some(vec![1.0_f32; words]));
    let take = || host.borrow_mut().take().expect("the last round gave it back");
    let upload = || {
        let done = device.upload(&x).send(take())?.wait();
        *host.borrow_mut() = done.buffer;
        Ok(done.result.map_err(|error| wharf::Error::Transfer((*error).clone()))?)
    };
    let download = || {
        let done = device.download(&y).into(take()).map_err(wharf::Error::from)?.wait();
        *host.borrow_mut() = done.buffer;
        Ok(done.result.map_err(|error| wharf::Error::Transfer((*error).clone()))?)
    };
    let fill = || Ok(device.upload(&x).fill(|_| 1.0)?.wait().ok()?);
    let launch = || Ok(device.launch(&SAXPY).bind(&x).bind(&y).arg("a", 0.5_f32).run()?.wait().ok()?);
    let copy = || Ok(device.copy(&x, &y).send()?.wait().ok()?);
    let mut figures = Vec::new();
    let mut all = 0.0;
    let kinds: [(&str, Send<'_>); 5] =
        [("upload", &upload), ("fill", &fill), ("launch", &launch), ("copy", &copy), ("download", &download)];
    for (kind, send) in kinds {
        let each = per_message(size, send)?;
        all += each;
        figures.push(format!("{each:.2} {kind}"));
    }
    let list = figures.join(", ");
    let ours = matches!(device.capabilities().backend, BackendKind::Cpu | BackendKind::Sim);
    let verdict =
        if ours { format!("none: {}", met(all == 0.0)) } else { "its driver's, and what calls it".to_owned() };
    println!("allocations, {}: {list} a message of {BYTES} bytes, sent and waited for: {verdict}", device.id());
    Ok(())
}

/// The fewest of some hundreds of rounds: what starts beside them is not the message's.
fn per_message(size: Size, send: Send<'_>) -> Result<f64, Error> {
    const ROUNDS: usize = 100;
    let mut fewest = u64::MAX;
    for _ in 0..size.of(3, 10) {
        (0..ROUNDS).try_for_each(|_| send())?;
        let mut outcome = Ok(());
        let count = counting::during(|| outcome = (0..ROUNDS).try_for_each(|_| send()));
        outcome?;
        fewest = fewest.min(count);
    }
    Ok(fewest as f64 / ROUNDS as f64)
}
