//! What 32-bit values a register may hold.

/// A set of words: bounds for both ways to read them, and array lengths above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// Least and greatest as `u32`.
    pub u: (u32, u32),
    /// Least and greatest as `i32`.
    pub s: (i32, i32),
    /// Bit `n`: below the length of binding `n`, as `u32`.
    pub below: u32,
    /// Bit `n`: at most the length of binding `n`, as `u32`.
    pub most: u32,
}

impl Range {
    /// Any word.
    pub(crate) const ANY: Self = Self { u: (0, u32::MAX), s: (i32::MIN, i32::MAX), below: 0, most: 0 };

    /// One word.
    pub(crate) fn word(bits: u32) -> Self {
        Self { u: (bits, bits), s: (bits as i32, bits as i32), ..Self::ANY }
    }

    /// From `least` to `greatest` as `u32`.
    pub(crate) fn unsigned(least: u32, greatest: u32) -> Self {
        Self { u: (least, greatest), ..Self::ANY }.tight()
    }

    /// From `least` to `greatest` as `i32`; more than that is any word.
    pub(crate) fn signed(least: i64, greatest: i64) -> Self {
        match (i32::try_from(least), i32::try_from(greatest)) {
            (Ok(least), Ok(greatest)) => Self { s: (least, greatest), ..Self::ANY }.tight(),
            _ => Self::ANY,
        }
    }

    /// The length of a binding's array.
    pub(super) fn length(slot: u32) -> Self {
        Self { most: bit(slot), ..Self::ANY }
    }

    /// Whether it is below a binding's length.
    pub(super) fn is_below(&self, slot: u32) -> bool {
        self.below & bit(slot) != 0
    }

    /// Whether `word` is one of them, for arrays of these lengths.
    #[cfg(test)]
    pub(super) fn holds(&self, word: u32, lengths: &[u32]) -> bool {
        let fits = |set: u32, fits: &dyn Fn(u32) -> bool| {
            (0..lengths.len().min(32)).all(|slot| set & bit(slot as u32) == 0 || fits(lengths[slot]))
        };
        (self.u.0..=self.u.1).contains(&word)
            && (self.s.0..=self.s.1).contains(&(word as i32))
            && fits(self.below, &|length| word < length)
            && fits(self.most, &|length| word <= length)
    }

    /// Whether no word is in it: what is guarded so never runs.
    pub(super) fn is_empty(&self) -> bool {
        self.u.0 > self.u.1 || self.s.0 > self.s.1
    }

    /// Not negative as `i32`.
    pub(super) fn is_natural(&self) -> bool {
        self.s.0 >= 0
    }

    /// The words of either.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            u: (self.u.0.min(other.u.0), self.u.1.max(other.u.1)),
            s: (self.s.0.min(other.s.0), self.s.1.max(other.s.1)),
            below: self.below & other.below,
            most: self.most & other.most,
        }
    }

    /// The words of both.
    pub(super) fn and(self, other: Self) -> Self {
        let both = Self {
            u: (self.u.0.max(other.u.0), self.u.1.min(other.u.1)),
            s: (self.s.0.max(other.s.0), self.s.1.min(other.s.1)),
            below: self.below | other.below,
            most: self.most | other.most,
        };
        both.tight()
    }

    /// At least the words of `self` and `next`: a bound that moved goes as far as it may, so that a loop's
    /// bounds settle.
    pub(super) fn widen(self, next: Self) -> Self {
        let u = (if next.u.0 < self.u.0 { 0 } else { self.u.0 }, if next.u.1 > self.u.1 { u32::MAX } else { self.u.1 });
        let low = match next.s.0 {
            least if least >= self.s.0 => self.s.0,
            0.. => 0,
            _ => i32::MIN,
        };
        let s = (low, if next.s.1 > self.s.1 { i32::MAX } else { self.s.1 });
        Self { u, s, below: self.below & next.below, most: self.most & next.most }
    }

    /// Carries what one reading says over to the other, where all words have one sign.
    pub(super) fn tight(mut self) -> Self {
        const TOP: u32 = i32::MAX as u32;
        if self.u.1 <= TOP || self.u.0 > TOP {
            let (least, greatest) = (self.u.0 as i32, self.u.1 as i32);
            self.s = (self.s.0.max(least), self.s.1.min(greatest));
        }
        if self.s.0 >= 0 || self.s.1 < 0 {
            let (least, greatest) = (self.s.0 as u32, self.s.1 as u32);
            self.u = (self.u.0.max(least), self.u.1.min(greatest));
        }
        self
    }
}

fn bit(slot: u32) -> u32 {
    1_u32.checked_shl(slot).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_carry_over_where_they_are_known() {
        assert_eq!(Range::unsigned(3, 9).s, (3, 9));
        assert_eq!(Range::signed(-4, -2).u, (u32::MAX - 3, u32::MAX - 1));
        assert_eq!(Range::signed(-1, 4).u, (0, u32::MAX));
        assert_eq!(Range::unsigned(0, 1 << 31).s, (i32::MIN, i32::MAX));
        assert_eq!(Range::signed(0, 1 << 31), Range::ANY);
    }

    #[test]
    fn widening_holds_both_and_settles() {
        let grown = Range::word(0).widen(Range::unsigned(0, 1));
        assert_eq!(grown.u, (0, u32::MAX));
        assert_eq!(grown.s, (0, i32::MAX));
        assert_eq!(grown.widen(Range::unsigned(0, 7)), grown);
        let shrunk = Range::word(128).widen(Range::unsigned(64, 128));
        assert_eq!((shrunk.u, shrunk.s), ((0, 128), (0, 128)));
    }
}
