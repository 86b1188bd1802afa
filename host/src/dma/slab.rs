//! Slots that are used again, with a generation that tells an old name from a new one.

use crate::backend::Token;

/// A slab of `T` named by [`Token`]s. A freed slot keeps its value, so that what the value has
/// allocated is there for the next user; a slot's generation grows each time it is freed.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    #[cfg(test)]
    fault: Option<(Fault, u32)>,
}

/// A bug on purpose, every so many uses, so that the tests can show that they would find it.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A slot in use is given to another: what was in it is lost.
    Lost,
    /// A freed name stays good: what it stands for may end twice.
    Doubled,
    /// Two values change places.
    Reordered,
    /// A slot is used again under the name that it had.
    Stale,
}

#[cfg(test)]
impl<T> Slab<T> {
    const EVERY: u32 = 8;

    pub(crate) fn plant(&mut self, fault: Fault) {
        self.fault = Some((fault, 0));
    }

    fn go_wrong(&mut self) {
        let used: Vec<usize> = (0..self.slots.len()).filter(|&i| self.slots[i].used).collect();
        let &[first, .., last] = &used[..] else { return };
        if self.strikes(Fault::Lost) {
            self.free.push(last as u32);
        }
        if self.strikes(Fault::Reordered) {
            let (low, high) = self.slots.split_at_mut(last);
            std::mem::swap(&mut low[first].value, &mut high[0].value);
        }
    }

    /// Whether this use of the slab goes wrong in this way.
    fn strikes(&mut self, kind: Fault) -> bool {
        let Some((fault, uses)) = self.fault.as_mut().filter(|(fault, _)| *fault == kind) else { return false };
        debug_assert_eq!(*fault, kind);
        *uses += 1;
        uses.is_multiple_of(Self::EVERY)
    }
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    used: bool,
    value: T,
}

impl<T: Default> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            #[cfg(test)]
            fault: None,
        }
    }

    /// Takes a slot. Its value is what the last user left there, or the default.
    #[inline]
    pub(crate) fn take(&mut self) -> (Token, &mut T) {
        #[cfg(test)]
        self.go_wrong();
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, used: false, value: T::default() });
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 slots")
        });
        let slot = &mut self.slots[index as usize];
        slot.used = true;
        (Token { index, generation: slot.generation }, &mut slot.value)
    }

    /// Frees the slot; every copy of the token is dead from now on.
    pub(crate) fn free(&mut self, token: Token) {
        #[cfg(test)]
        let (doubled, stale) = (self.strikes(Fault::Doubled), self.strikes(Fault::Stale));
        #[cfg(not(test))]
        let (doubled, stale) = (false, false);
        #[cfg(wharf_models)]
        let stale = stale || super::sync::has(super::sync::Bug::Stale);
        let slot = &mut self.slots[token.index as usize];
        assert!(slot.used && slot.generation == token.generation, "a dead token is freed");
        if doubled {
            return;
        }
        slot.used = false;
        if !stale {
            slot.generation = slot.generation.wrapping_add(1);
        }
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

    /// Frees every slot.
    pub(crate) fn clear(&mut self) {
        for index in 0..self.slots.len() as u32 {
            let slot = &self.slots[index as usize];
            if slot.used {
                self.free(Token { index, generation: slot.generation });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_token_is_dead_even_when_its_slot_lives_again() {
        let mut slab = Slab::<u32>::new();
        let (old, value) = slab.take();
        *value = 7;
        slab.free(old);
        assert_eq!(slab.get(old), None);
        let (new, _) = slab.take();
        assert_eq!(new.index, old.index);
        assert_ne!(new, old);
        assert_eq!(slab.get(old), None);
        assert_eq!(slab.get(new), Some(&7));
    }

    #[test]
    #[should_panic(expected = "a dead token is freed")]
    fn a_token_is_freed_once() {
        let mut slab = Slab::<u32>::new();
        let (token, _) = slab.take();
        slab.free(token);
        slab.free(token);
    }
}
