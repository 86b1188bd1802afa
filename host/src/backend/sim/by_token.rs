//! Values by the names of commands.

use crate::backend::Token;

/// One place for each index: names that are used again use its memory again.
#[derive(Debug)]
pub(super) struct ByToken<T> {
    places: Vec<Option<(u32, T)>>,
    len: usize,
}

impl<T> ByToken<T> {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Nobody has this index meanwhile.
    pub(super) fn insert(&mut self, token: Token, value: T) {
        let index = token.index as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        let before = self.places[index].replace((token.generation, value));
        debug_assert!(before.is_none(), "a command's place is taken");
        self.len += 1;
    }

    pub(super) fn get(&self, token: Token) -> Option<&T> {
        let (generation, value) = self.places.get(token.index as usize)?.as_ref()?;
        (*generation == token.generation).then_some(value)
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        self.get(token)?;
        self.len -= 1;
        self.places[token.index as usize].take().map(|(_, value)| value)
    }

    pub(super) fn clear(&mut self) {
        self.places.fill_with(|| None);
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_another_generation_is_another_name() {
        let name = |generation| Token { index: 3, generation };
        let mut values = ByToken::new();
        values.insert(name(0), 'a');
        assert_eq!((values.get(name(0)), values.get(name(1)), values.len()), (Some(&'a'), None, 1));
        assert_eq!((values.remove(name(1)), values.remove(name(0)), values.remove(name(0))), (None, Some('a'), None));
        values.insert(name(1), 'b');
        values.clear();
        assert_eq!((values.get(name(1)), values.len()), (None, 0));
    }
}
