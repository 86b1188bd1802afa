//! Where messages lie: memory that is used again, and that is handed on by its address.

use std::{
    cell::RefCell,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
};

use super::work::Work;

/// A message's memory. From its maker it goes to a cell of the engine, from there to whoever takes the
/// outcome; dropped, it is blank and there for the next message, of any device.
///
/// By default there is none: that is what is left where it was taken out.
#[derive(Default)]
pub(crate) struct Slip(Option<Box<Work>>);

/// Blank slips that a thread keeps, at most twice as many; what goes to and comes from the shelf at a time.
const LOT: usize = 16;
/// Slips on the shelf; more than that are freed.
const MOST: usize = 32_768;

thread_local! {
    /// Who makes a message mostly takes its outcome, too.
    static OWN: RefCell<Lot> = const { RefCell::new(Lot::new()) };
}

/// What threads have too many of, for those that have none.
static SHELF: Mutex<Lot> = Mutex::new(Lot::new());

/// They are lent out one by one, and stay where they are.
type Lot = Vec<Box<Work>>;

impl Slip {
    /// A blank one.
    pub(crate) fn blank() -> Self {
        let own = OWN.try_with(|own| {
            let mut own = own.borrow_mut();
            if own.is_empty() {
                let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
                let left = shelf.len().saturating_sub(LOT);
                own.extend(shelf.drain(left..));
            }
            own.pop()
        });
        Self(Some(own.ok().flatten().unwrap_or_default()))
    }

    /// The message, if there is one.
    pub(crate) fn get(&self) -> Option<&Work> {
        self.0.as_deref()
    }

    /// Whether dropping it runs no code of the user's.
    pub(super) fn is_plain(&self) -> bool {
        self.parcel.as_ref().is_none_or(|parcel| !parcel.needs_drop())
    }
}

impl Drop for Slip {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            keep(work);
        }
    }
}

/// Blanks a slip and keeps it for the next message.
fn keep(mut work: Box<Work>) {
    work.blank();
    // A thread that ends keeps nothing.
    let _ = OWN.try_with(|own| {
        let mut own = own.borrow_mut();
        if own.len() == 2 * LOT {
            let mut shelf = SHELF.lock().unwrap_or_else(PoisonError::into_inner);
            let fit = LOT.min(MOST - shelf.len());
            shelf.extend(own.drain(LOT..).take(fit));
        }
        own.push(work);
    });
}

const TAKEN: &str = "a message is asked for where it is";

impl Deref for Slip {
    type Target = Work;

    #[inline(always)]
    fn deref(&self) -> &Work {
        self.0.as_ref().expect(TAKEN)
    }
}

impl DerefMut for Slip {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Work {
        self.0.as_mut().expect(TAKEN)
    }
}

impl fmt::Debug for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::*;
    use crate::dma::{Label, Parcel, small::SmallPool};

    #[test]
    fn a_slip_comes_again_blank_and_lets_go_of_what_it_held() {
        let (held, pool) = (Arc::new(()), Arc::new(SmallPool::default()));
        let mut slip = Slip::blank();
        let address = &raw const *slip;
        slip.parcel = Some(Parcel::new(held.clone()));
        (slip.bytes, slip.tag, slip.unsignaled, slip.label) = (5, 7, true, Label::User("x".into()));
        let _ = slip.carry(&[1; 100], 100, &pool);
        assert!(!slip.is_plain());
        drop(slip);
        assert_eq!(Arc::strong_count(&held), 1);
        let again = Slip::blank();
        assert_eq!(&raw const *again, address);
        assert!(again.parcel.is_none() && again.label.told().is_none() && again.is_plain());
        assert_eq!((again.bytes, again.tag, again.unsignaled), (0, 0, false));
    }

    #[test]
    fn what_one_thread_drops_another_takes() {
        let many: Vec<Slip> = (0..4 * LOT).map(|_| Slip::blank()).collect();
        let mut addresses: Vec<_> = many.iter().map(|slip| (&raw const **slip) as usize).collect();
        thread::spawn(move || drop(many)).join().expect("it ends");
        let again: Vec<Slip> = (0..LOT).map(|_| Slip::blank()).collect();
        addresses.sort_unstable();
        let known = |slip: &Slip| addresses.binary_search(&((&raw const **slip) as usize)).is_ok();
        assert!(again.iter().any(known), "those that the other thread had too many of are on the shelf");
    }

    #[test]
    fn what_was_taken_out_leaves_none() {
        let mut slip = Slip::blank();
        let taken = std::mem::take(&mut slip);
        assert!(slip.get().is_none() && taken.get().is_some());
    }
}
