//! Faults that a simulated device was told to have and that nobody has met: a test that passes because of them has
//! tested nothing.

use std::cell::RefCell;

use wharf::{Device, ScriptedFault};

use crate::{interrupt, output};

/// Says at the end of a command, when it is dropped, which faults of a device's script have not happened, and which
/// nobody has noticed. Where they all have, and of other devices, it says nothing; nor after Ctrl-C, which was early.
#[derive(Debug)]
pub(crate) struct Telling(RefCell<Heard>);

#[derive(Debug, Default)]
struct Heard {
    /// The one that is open.
    device: Option<Device>,
    /// What has come of the script on those before it.
    before: Vec<ScriptedFault>,
}

impl Telling {
    pub(crate) fn of(device: &Device) -> Self {
        let telling = Self::of_several();
        telling.0.borrow_mut().device = Some(device.clone());
        telling
    }

    /// For devices that are opened by the same name one after the other: their script happens to each, and what has
    /// happened to one of them has happened.
    pub(crate) fn of_several() -> Self {
        Self(RefCell::default())
    }

    /// The next one. It is `open`ed when the one before is no longer held here.
    pub(crate) fn next(&self, open: impl FnOnce() -> wharf::Result<Device>) -> wharf::Result<Device> {
        self.0.borrow_mut().close();
        let device = open()?;
        self.0.borrow_mut().device = Some(device.clone());
        Ok(device)
    }
}

impl Heard {
    /// Adds what has come of the script on the device that is open. Gives its name.
    fn close(&mut self) -> Option<String> {
        let device = self.device.take()?;
        for fault in device.scripted_faults() {
            match self.before.iter_mut().find(|known| known.item == fault.item) {
                Some(known) => {
                    known.happened += fault.happened;
                    known.absorbed += fault.absorbed;
                }
                None => self.before.push(fault),
            }
        }
        Some(device.id().to_owned())
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let heard = self.0.get_mut();
        let Some(name) = heard.close() else { return };
        if let Some(words) = words(&heard.before).filter(|_| !interrupt::is_asked()) {
            output::note(format_args!("{name}: {words}"));
        }
    }
}

/// What of a script nobody has met, if there is any.
fn words(faults: &[ScriptedFault]) -> Option<String> {
    let listed = |what: &str, meets: fn(&ScriptedFault) -> bool| {
        let items: Vec<_> = faults.iter().filter(|fault| meets(fault)).map(|fault| fault.item.as_str()).collect();
        (!items.is_empty()).then(|| format!("{what}: {}", items.join(", ")))
    };
    let unmet = listed("faults that did not happen", |fault| fault.happened == 0);
    let absorbed = listed("tries for memory that another try made good", |fault| {
        fault.happened > 0 && fault.happened == fault.absorbed
    });
    let parts: Vec<_> = [unmet, absorbed].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_happened_to_one_of_several_has_happened() -> wharf::Result<()> {
        let telling = Telling::of_several();
        let clears = |n: usize| -> wharf::Result<()> {
            let device = telling.next(|| Device::open("sim:fail=2,late=3:1us,oom=2"))?;
            let (x, _second) = (device.buffer::<u32>(1)?, device.buffer::<u32>(1)?);
            (0..n).try_for_each(|_| device.clear(&x).send().map(|ticket| drop(ticket.wait())))
        };
        for (n, expected) in [
            (1, "faults that did not happen: fail=2, late=3:1us; tries for memory that another try made good: oom=2"),
            (2, "faults that did not happen: late=3:1us; tries for memory that another try made good: oom=2"),
            (0, "faults that did not happen: late=3:1us; tries for memory that another try made good: oom=2"),
            (3, "tries for memory that another try made good: oom=2"),
        ] {
            clears(n)?;
            let mut heard = telling.0.borrow_mut();
            assert!(heard.close().is_some_and(|name| name.starts_with("sim:")));
            assert_eq!(words(&heard.before).as_deref(), Some(expected), "after {n} more");
        }
        assert_eq!(telling.0.borrow_mut().close(), None, "it is told of once");
        assert_eq!(words(&[]), None);
        Ok(())
    }
}
