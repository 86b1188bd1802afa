//! A list that needs no memory of its own while it is short.

use std::ops::Index;

/// A list of `T`s, the first `N` of which lie in the list itself.
///
/// As variant in `T` as a `Vec`, which builders with lifetimes need and `SmallVec` is not.
#[derive(Debug)]
pub(crate) struct Few<T, const N: usize> {
    first: [Option<T>; N],
    more: Vec<T>,
    len: usize,
}

impl<T, const N: usize> Few<T, N> {
    pub(crate) const fn new() -> Self {
        Self { first: [const { None }; N], more: Vec::new(), len: 0 }
    }

    pub(crate) fn push(&mut self, value: T) {
        match self.first.get_mut(self.len) {
            Some(place) => *place = Some(value),
            None => self.more.push(value),
        }
        self.len += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.first[..self.len.min(N)].iter().flatten().chain(&self.more)
    }
}

impl<T, const N: usize> Index<usize> for Few<T, N> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        self.iter().nth(index).expect("an index within the list")
    }
}

impl<T, const N: usize> FromIterator<T> for Few<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut few = Self::new();
        values.into_iter().for_each(|value| few.push(value));
        few
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_all_and_their_order() {
        for len in 0..6 {
            let few: Few<usize, 3> = (0..len).collect();
            assert_eq!((few.len(), few.iter().copied().collect::<Vec<_>>()), (len, (0..len).collect()));
            assert!((0..len).all(|i| few[i] == i));
        }
    }
}
