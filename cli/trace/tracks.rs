//! Where intervals stand, so that a viewer shows each as it was.
//!
//! A viewer takes what lies within another interval of its track for a part of that one, and draws what overlaps it
//! otherwise wrongly. So intervals on one track follow each other, but for such as begin and end together, which were
//! one to the device.

use std::{cmp::Reverse, time::Instant};

/// From when until when.
pub(super) type Interval = (Instant, Instant);

/// The track of each, from 0 on, on as few as that takes.
pub(super) fn tracks(intervals: &[Interval]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..intervals.len()).collect();
    order.sort_by_key(|&i| (intervals[i].0, Reverse(intervals[i].1)));
    let mut places = vec![0; intervals.len()];
    // The last interval of each track.
    let mut last: Vec<Interval> = Vec::new();
    for i in order {
        let next = intervals[i];
        let has_room = |before: &Interval| before.1 <= next.0 || *before == next;
        let place = last.iter().position(has_room).unwrap_or(last.len());
        match last.get_mut(place) {
            Some(before) => *before = next,
            None => last.push(next),
        }
        places[i] = place;
    }
    places
}

/// `upload`, `upload 2`, `upload 3`, ...
pub(super) fn numbered(name: &str, track: usize) -> String {
    if track == 0 { name.to_owned() } else { format!("{name} {}", track + 1) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_overlaps_stands_apart_and_what_was_done_together_does_not() {
        let origin = Instant::now();
        let placed = |intervals: &[(u64, u64)]| {
            let at = |us| origin + Duration::from_micros(us);
            tracks(&intervals.iter().map(|&(from, to)| (at(from), at(to))).collect::<Vec<_>>())
        };
        assert_eq!(placed(&[(0, 1), (1, 2), (2, 5)]), [0, 0, 0], "one behind the other");
        assert_eq!(placed(&[(0, 3), (2, 5), (3, 4), (5, 6)]), [0, 1, 0, 0], "crossing");
        assert_eq!(placed(&[(0, 9), (2, 5)]), [0, 1], "within, and no part of it");
        assert_eq!(placed(&[(2, 5), (2, 5), (0, 3), (2, 5)]), [1, 1, 0, 1], "together");
        assert_eq!(placed(&[(0, 0), (0, 2), (2, 2), (1, 1)]), [1, 0, 0, 1], "moments");
    }

    #[test]
    fn tracks_of_one_kind_are_numbered() {
        assert_eq!([0, 1, 2].map(|track| numbered("upload", track)), ["upload", "upload 2", "upload 3"]);
    }
}
