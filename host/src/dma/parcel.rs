//! The host buffer that a message owns, without its type and without an allocation.
#![expect(unsafe_code, reason = "a value is kept as bytes beside its type, so that no message allocates")]

use std::{
    any::TypeId,
    fmt,
    mem::{MaybeUninit, needs_drop},
    ptr,
};

type Words = [MaybeUninit<usize>; 8];

/// One value of any `Send` type of up to eight words.
///
/// Invariant: `words` holds an initialised value of the type that `ty` names and `drop`, if any, drops; it
/// is moved out or dropped exactly once, by `take` (which forgets the parcel) or by `Drop`.
pub(crate) struct Parcel {
    words: Words,
    ty: TypeId,
    /// `None` where dropping a value of that type does nothing.
    drop: Option<unsafe fn(*mut Words)>,
}

// SAFETY: only `Send` values are put in (`Parcel::new`), and nothing is shared by reference.
unsafe impl Send for Parcel {}

impl Parcel {
    pub(crate) fn new<B: Send + 'static>(value: B) -> Self {
        const { assert!(size_of::<B>() <= size_of::<Words>() && align_of::<B>() <= align_of::<Words>()) };
        let mut words: Words = [MaybeUninit::uninit(); 8];
        // SAFETY: the value fits in size and alignment (checked when compiled).
        unsafe { ptr::write(words.as_mut_ptr().cast::<B>(), value) };
        Self {
            words,
            ty: TypeId::of::<B>(),
            // SAFETY: called once, on words that hold a `B` (invariant).
            drop: needs_drop::<B>().then_some(|words| unsafe { ptr::drop_in_place(words.cast::<B>()) }),
        }
    }

    /// Whether dropping it runs code of the value's.
    pub(super) fn needs_drop(&self) -> bool {
        self.drop.is_some()
    }

    /// Whether the value is a `B`.
    pub(crate) fn holds<B: Send + 'static>(&self) -> bool {
        self.ty == TypeId::of::<B>()
    }

    /// The value.
    ///
    /// # Panics
    /// Where the parcel holds another type: a ticket of the wrong type was made, which is our bug.
    pub(crate) fn take<B: Send + 'static>(self) -> B {
        assert_eq!(self.ty, TypeId::of::<B>(), "a parcel is taken as another type");
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: the words hold a `B` (type checked), and `this` never drops it again.
        unsafe { ptr::read(this.words.as_ptr().cast::<B>()) }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: the value is still here (invariant), and this is its only drop.
            unsafe { drop(&raw mut self.words) }
        }
    }
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parcel")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_goes_in_comes_out() {
        assert_eq!(Parcel::new(vec![1, 2, 3]).take::<Vec<i32>>(), [1, 2, 3]);
        Parcel::new(()).take::<()>();
        assert!(Parcel::new(vec![1]).needs_drop() && !Parcel::new(7_u64).needs_drop());
    }

    #[test]
    fn a_parcel_that_is_not_taken_drops_its_value_once() {
        let shared = Arc::new(5);
        drop(Parcel::new(shared.clone()));
        assert_eq!(Arc::strong_count(&shared), 1);
        let parcel = Parcel::new(shared.clone());
        assert_eq!(*parcel.take::<Arc<i32>>(), 5);
        assert_eq!(Arc::strong_count(&shared), 1);
    }

    #[test]
    #[should_panic(expected = "another type")]
    fn a_parcel_is_not_taken_as_another_type() {
        Parcel::new(1_u32).take::<i32>();
    }
}
