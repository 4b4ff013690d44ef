//! Which lengths are one.

/// By length, which one it is as long as: itself, one before, or T, which is 0. Lengths count from 1.
pub(super) type Groups = Vec<usize>;

/// All groups that are of one fewer than these.
pub(super) fn coarser(level: &[Groups], open: &[usize]) -> Vec<Groups> {
    let mut all: Vec<Groups> = vec![];
    for groups in level {
        let mut there: Vec<usize> = open.iter().map(|k| groups[*k]).collect();
        there.push(0);
        there.sort_unstable();
        there.dedup();
        for (i, a) in there.iter().enumerate() {
            for b in &there[i + 1..] {
                let one = |g: &usize| if g == b { *a } else { *g };
                let mut next = groups.clone();
                open.iter().for_each(|k| next[*k] = one(&groups[*k]));
                if !all.contains(&next) {
                    all.push(next);
                }
            }
        }
    }
    all
}
