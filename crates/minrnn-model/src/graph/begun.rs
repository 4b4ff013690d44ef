//! States that somebody makes up, as a run could have left them.

use super::{Graph, StateInit};

impl Graph {
    /// Makes counts of steps, and the windows beside them, those of one sequence: all counters of a row are its least one, and rows of windows
    /// that are older than its begin are zeros, where windows begin with them. `states`: in the graph's order, for `batch` rows.
    ///
    /// # Panics
    /// Fewer values than states of `batch` rows have.
    pub fn begun<T: Copy + Default + Into<f64>>(&self, states: &mut [Vec<T>], batch: usize) {
        let counters = self.counters();
        for row in 0..batch {
            let counts = counters.iter().map(|s| states[s.index()][row]);
            let least = |a: T, b: T| if b.into() < a.into() { b } else { a };
            let Some(count) = counts.reduce(least) else {
                return;
            };
            for counter in &counters {
                states[counter.index()][row] = count;
            }
            let steps = Into::<f64>::into(count) as usize;
            let windows = self.states().iter().zip(states.iter_mut());
            for (spec, values) in windows.filter(|(s, _)| s.init == StateInit::Zero) {
                let Some(lag) = spec.lag() else { continue };
                let older = lag.saturating_sub(steps) * spec.width;
                values[row * spec.len()..][..older].fill(T::default());
            }
        }
    }
}
