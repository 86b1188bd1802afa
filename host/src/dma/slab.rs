//! Slots that are used again, with a generation that tells an old name from a new one.

use crate::backend::Token;

/// A slab of `T` named by [`Token`]s. A freed slot keeps its value, so that what the value has
/// allocated is there for the next user; a slot's generation grows each time it is freed.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    used: bool,
    value: T,
}

impl<T: Default> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Takes a slot. Its value is what the last user left there, or the default.
    pub(crate) fn take(&mut self) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, used: false, value: T::default() });
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 slots")
        });
        let slot = &mut self.slots[index as usize];
        slot.used = true;
        Token { index, generation: slot.generation }
    }

    /// Frees the slot; every copy of the token is dead from now on.
    pub(crate) fn free(&mut self, token: Token) {
        let slot = &mut self.slots[token.index as usize];
        assert!(slot.used && slot.generation == token.generation, "a dead token is freed");
        slot.used = false;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(token.index);
    }

    pub(crate) fn get(&self, token: Token) -> Option<&T> {
        let slot = self.slots.get(token.index as usize)?;
        (slot.used && slot.generation == token.generation).then_some(&slot.value)
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let slot = self.slots.get_mut(token.index as usize)?;
        (slot.used && slot.generation == token.generation).then_some(&mut slot.value)
    }

    /// The used slots.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Token, &mut T)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter(|(_, slot)| slot.used)
            .map(|(index, slot)| (Token { index: index as u32, generation: slot.generation }, &mut slot.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_token_is_dead_even_when_its_slot_lives_again() {
        let mut slab = Slab::<u32>::new();
        let old = slab.take();
        *slab.get_mut(old).unwrap() = 7;
        slab.free(old);
        assert_eq!(slab.get(old), None);
        let new = slab.take();
        assert_eq!(new.index, old.index);
        assert_ne!(new, old);
        assert_eq!(slab.get(old), None);
        assert_eq!(slab.get(new), Some(&7));
    }

    #[test]
    #[should_panic(expected = "a dead token is freed")]
    fn a_token_is_freed_once() {
        let mut slab = Slab::<u32>::new();
        let token = slab.take();
        slab.free(token);
        slab.free(token);
    }
}
