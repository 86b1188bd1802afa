//! How many lanes a block gets: as many as leave its values in registers.

use super::shapes::Shapes;
use crate::ir::{Kernel, Op, SUBGROUP, alloc, each_op};

/// Lanes of a block of this kernel.
///
/// Sixteen, as a subgroup has, where values are so few that the machine's sixteen registers hold most of
/// their vectors, or where lanes of a subgroup see each other; fewer where they do not, which also compiles
/// sooner; four where that is all there is.
pub(super) fn width(kernel: &Kernel, shapes: &Shapes) -> u32 {
    let lanes = kernel.lanes;
    let mut subgroups = false;
    each_op(&kernel.body, &mut |op| {
        subgroups |= matches!(op, Op::Ballot { .. } | Op::Gather { .. } | Op::Collective { .. });
    });
    if subgroups {
        return SUBGROUP;
    }
    if lanes <= 4 {
        return 4;
    }
    match most_alive(kernel, shapes) {
        0..=6 => 16,
        7..=14 => 8,
        _ => 4,
    }
}

/// How many registers that differ from lane to lane are alive at a time, at most.
fn most_alive(kernel: &Kernel, shapes: &Shapes) -> usize {
    let lives = alloc::lives(kernel);
    let mut steps: Vec<(u32, i32)> = Vec::new();
    for (reg, life) in (0..).zip(lives) {
        if let Some((first, last)) = life
            && shapes.is_vector(reg)
        {
            steps.extend([(first, 1), (last, -1)]);
        }
    }
    // What ends where another begins leaves it its place.
    steps.sort_unstable();
    let mut alive = 0;
    let counts = steps.into_iter().map(|(_, step)| {
        alive += step;
        alive
    });
    counts.max().unwrap_or(0) as usize
}
