//! Which rows have had their result committed: a set, so that order does not matter and nothing is
//! counted twice.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Rows `start..end` of one unit of a source, counted from the unit's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The unit's number.
    pub unit: usize,
    /// The first row.
    pub start: u64,
    /// The row behind the last; [`Span::TO_THE_END`] where that is the unit's end.
    pub end: u64,
}

impl Span {
    /// A unit's end, where nobody has counted its rows.
    pub const TO_THE_END: u64 = u64::MAX;
}

/// Rows whose results are part of the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// The row behind each span, by unit and first row.
    ends: BTreeMap<(usize, u64), u64>,
}

impl Committed {
    /// Commits a batch, all of it or nothing.
    ///
    /// # Errors
    /// [`Error::CommittedTwice`] where a row of it was committed before.
    pub fn commit(&mut self, batch: &[Span]) -> Result<()> {
        if let Some(twice) = batch.iter().find(|span| self.overlaps(span)) {
            return Err(Error::CommittedTwice { unit: twice.unit, row: twice.start });
        }
        self.ends.extend(batch.iter().filter(|span| span.start < span.end).map(|s| ((s.unit, s.start), s.end)));
        Ok(())
    }

    fn overlaps(&self, span: &Span) -> bool {
        // Spans here do not overlap each other, so the last one that begins before its end tells.
        let before = self.ends.range((span.unit, 0)..(span.unit, span.end)).next_back();
        before.is_some_and(|(_, &end)| end > span.start)
    }

    /// What is left of so many units.
    pub fn rest(&self, units: usize) -> Vec<Span> {
        let mut rest = Vec::new();
        for unit in 0..units {
            let mut start = 0;
            for (&(_, from), &end) in self.ends.range((unit, 0)..=(unit, u64::MAX)) {
                if start < from {
                    rest.push(Span { unit, start, end: from });
                }
                start = end;
            }
            if start < Span::TO_THE_END {
                rest.push(Span { unit, start, end: Span::TO_THE_END });
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn span(unit: usize, start: u64, end: u64) -> Span {
        Span { unit, start, end }
    }

    #[test]
    fn the_rest_is_what_lies_between_and_behind() {
        let end = Span::TO_THE_END;
        let mut committed = Committed::default();
        assert_eq!(committed.rest(2), [span(0, 0, end), span(1, 0, end)]);
        committed.commit(&[span(0, 5, 10), span(1, 0, end)]).expect("new rows");
        committed.commit(&[span(0, 20, 30)]).expect("new rows");
        assert_eq!(committed.rest(3), [span(0, 0, 5), span(0, 10, 20), span(0, 30, end), span(2, 0, end)]);
        committed.commit(&[span(0, 0, 5), span(0, 10, 20), span(0, 30, end), span(2, 0, end)]).expect("the rest");
        assert_eq!(committed.rest(3), []);
    }

    #[test]
    fn a_row_is_committed_once_and_a_refused_batch_leaves_nothing() {
        let mut committed = Committed::default();
        committed.commit(&[span(1, 10, 20)]).expect("new rows");
        let before = committed.clone();
        for twice in [span(1, 0, 11), span(1, 19, 21), span(1, 12, 13), span(1, 0, Span::TO_THE_END), span(1, 10, 20)] {
            let error = committed.commit(&[span(2, 0, 5), twice]).expect_err("twice");
            assert!(matches!(error, Error::CommittedTwice { unit: 1, row } if row == twice.start), "{error}");
            assert_eq!(committed, before);
        }
        committed.commit(&[span(1, 0, 10), span(1, 20, 21), span(0, 10, 20), span(1, 7, 7)]).expect("neighbours");
    }
}
