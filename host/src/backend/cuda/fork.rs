//! Which of several streams each step of a graph is given to, and what it waits for there.

/// Streams that a graph is captured from: the one it is launched in, and others beside it.
pub(super) const STREAMS: usize = 4;

/// One step's place.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) stream: usize,
    /// Steps of other streams that must be over.
    pub(super) waits: Vec<usize>,
    /// Others wait for it.
    pub(super) awaited: bool,
}

/// Places for steps of which each comes after those of its list. A step follows one that it must follow in
/// that one's stream; one that need not follow any begins in the stream that was used least lately.
pub(super) fn places(after: &[Vec<u32>]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::with_capacity(after.len());
    // The last step of each stream, and up to which step of which other it has waited; counted from 1.
    let (mut last, mut seen) = ([0; STREAMS], [[0; STREAMS]; STREAMS]);
    for (step, before) in after.iter().enumerate() {
        let before = || before.iter().map(|&earlier| earlier as usize);
        let follows = (0..STREAMS).filter(|&stream| before().any(|earlier| earlier + 1 == last[stream]));
        let stream = follows.max_by_key(|&stream| last[stream]);
        let stream = stream.unwrap_or_else(|| (0..STREAMS).min_by_key(|&stream| last[stream]).expect("some"));
        // Of each stream the latest stands for those before it.
        let mut latest = [0; STREAMS];
        for earlier in before() {
            let of = places[earlier].stream;
            latest[of] = latest[of].max(earlier + 1);
        }
        let mut place = Place { stream, ..Place::default() };
        for other in 0..STREAMS {
            if other == stream || latest[other] <= seen[stream][other] {
                continue;
            }
            seen[stream][other] = latest[other];
            places[latest[other] - 1].awaited = true;
            place.waits.push(latest[other] - 1);
        }
        last[stream] = step + 1;
        places.push(place);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the streams and waits alone put `earlier` before `later`.
    fn is_before(places: &[Place], earlier: usize, later: usize) -> bool {
        let mut open = vec![later];
        let mut reached = vec![false; places.len()];
        while let Some(step) = open.pop() {
            if std::mem::replace(&mut reached[step], true) {
                continue;
            }
            open.extend(places[step].waits.iter().copied());
            open.extend((0..step).rev().find(|&other| places[other].stream == places[step].stream));
        }
        reached[earlier]
    }

    #[test]
    fn every_step_comes_after_what_it_must_follow() {
        let mut state = 1_u64;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        for _ in 0..200 {
            let steps = 1 + random(30);
            let list = |step: usize, random: &mut dyn FnMut(usize) -> usize| -> Vec<u32> {
                (0..random(3).min(step)).map(|_| random(step) as u32).collect()
            };
            let after: Vec<_> = (0..steps).map(|step| list(step, &mut random)).collect();
            let places = places(&after);
            for (step, before) in after.iter().enumerate() {
                for &earlier in before {
                    assert!(is_before(&places, earlier as usize, step), "{after:?}: {earlier} and {step}: {places:?}");
                }
                let waits = &places[step].waits;
                assert!(waits.iter().all(|&on| places[on].awaited && on < step), "{places:?}");
            }
        }
    }

    #[test]
    fn a_chain_stays_in_one_stream_and_what_is_independent_does_not() {
        let chain: Vec<Vec<u32>> = (0..10).map(|step| (step > 0).then(|| step - 1).into_iter().collect()).collect();
        assert!(places(&chain).iter().all(|place| place.stream == 0 && place.waits.is_empty()));
        let streams: Vec<_> = places(&vec![Vec::new(); 6]).iter().map(|place| place.stream).collect();
        assert_eq!(streams, [0, 1, 2, 3, 0, 1]);
    }
}
