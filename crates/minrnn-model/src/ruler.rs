//! The project's one ruler: how far apart two right runs may be follows from how far one of them was measured to be.

/// Cases up to this length share one estimate of an error: a handful of values alone may be right by luck.
pub const SHORT: usize = 64;

/// How many times worse than another right one an engine, or a file that adds in another order, may round.
pub const ACROSS: f64 = 4.0;

/// The tolerance of values that are `largest` at most: twice the error that was measured, and four last places of the largest one.
pub fn tolerance(error: f64, eps: f64, largest: f64) -> f64 {
    2.0 * error + 4.0 * eps * largest
}

/// What runs measured, by kind of input (one does not excuse another) and by length.
#[derive(Debug, Clone)]
pub struct Seen<K, V> {
    runs: Vec<(K, usize, V)>,
}

impl<K, V> Default for Seen<K, V> {
    fn default() -> Self {
        Self { runs: vec![] }
    }
}

impl<K: PartialEq, V: Default> Seen<K, V> {
    /// What is known of a kind and length; lengths up to [`SHORT`] are one.
    pub fn of(&mut self, kind: K, time: usize) -> &mut V {
        let time = time.max(SHORT);
        let found = self
            .runs
            .iter()
            .position(|(k, t, _)| (k, *t) == (&kind, time));
        let at = found.unwrap_or_else(|| {
            self.runs.push((kind, time, V::default()));
            self.runs.len() - 1
        });
        &mut self.runs[at].2
    }

    /// What speaks for a run: all of that kind that is no longer. A long run does not loosen a short one.
    pub fn up_to(&self, kind: K, time: usize) -> impl Iterator<Item = &V> {
        let speaks = move |(k, t, _): &&(K, usize, V)| *k == kind && *t <= time.max(SHORT);
        self.runs.iter().filter(speaks).map(|(.., v)| v)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_longer_runs_nor_other_kinds_speak() {
        let mut seen: Seen<bool, Vec<u8>> = Seen::default();
        seen.of(true, 1).push(1);
        seen.of(true, SHORT).push(2);
        seen.of(true, 300).push(3);
        seen.of(false, 1).push(4);
        let all = |kind, time| {
            seen.up_to(kind, time)
                .flatten()
                .copied()
                .collect::<Vec<_>>()
        };
        assert_eq!(all(true, 5), [1, 2]);
        assert_eq!(all(true, 299), [1, 2]);
        assert_eq!(all(true, 300), [1, 2, 3]);
        assert_eq!(all(false, 5000), [4]);
    }

    #[test]
    fn it_is_twice_the_error_and_four_last_places() {
        assert_eq!(tolerance(0.25, 0.125, 2.0), 1.5);
    }
}
