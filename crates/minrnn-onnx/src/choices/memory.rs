//! How long a sequence may be by default where a model makes wide values of narrow ones.

use minrnn_model::graph::{Graph, Op};

use super::{ExportOptions, Lowering};

/// Bytes of one row of a tensor `[batch, T, width]`, at most.
const MOST: usize = 1 << 28;

/// The most steps that a sequence file of a graph takes at once: as many as a table of positions has rows, and twice the window of an
/// attention, whose scores would grow with the square of what is longer, 64 at least. `None`: no limit.
pub fn most_steps(graph: &Graph) -> Option<usize> {
    let windows = graph.nodes().iter().filter_map(|n| match n.op {
        Op::Attend { state, .. } => graph.state_spec(state).lag(),
        _ => None,
    });
    let windows = windows.map(|lag| (2 * (lag + 1)).max(64)).min();
    graph.longest().into_iter().chain(windows).min()
}

impl ExportOptions {
    /// The same with a longest sequence that the graph takes.
    #[must_use]
    pub fn fitting(&self, graph: &Graph) -> Self {
        let most = most_steps(graph).unwrap_or(self.max_seq_len);
        Self {
            // A table of one step would be repeated for any number of them.
            max_seq_len: self.max_seq_len.min(most.max(2)),
            ..self.clone()
        }
    }

    /// The longest T of the form `parallel` for `graph` at which no value that is repeated into more channels (the states of a
    /// selective state space: D N channels) has more than 256 MB a row, at most `self.max_seq_len`. `blocked` takes powers of its block,
    /// its square at least, so that it is one of these there.
    pub fn longest_by_memory(&self, graph: &Graph) -> usize {
        let wide = graph.nodes().iter();
        let wide = wide.filter(|n| matches!(n.op, Op::Repeat { .. }) && !n.span.is_model());
        let Some(width) = wide.map(|n| n.width).max() else {
            return self.max_seq_len;
        };
        let most = (MOST / 4 / width).max(1);
        if self.max_seq_len <= most {
            return self.max_seq_len;
        }
        match self.lowering {
            Lowering::Blocked => {
                let mut reach = self.block * self.block;
                while reach * self.block <= most {
                    reach *= self.block;
                }
                reach.min(self.max_seq_len)
            }
            _ => most,
        }
    }
}

#[cfg(test)]
mod tests {
    use minrnn_model::config::ModelConfig;
    use minrnn_model::model::Model;

    use super::*;

    #[test]
    fn the_widest_value_has_at_most_256_mb_a_row() {
        let longest = |cell: &str, lowering: Lowering| {
            let text = format!(
                "width = 768\nlayers = 1\nblock = 'mamba'\n[input]\nvocab = 5\n[head]\nwidth = 5\n[cell]\n{cell}\n"
            );
            let config: ModelConfig = toml::from_str(&text).unwrap();
            let model = Model::from_config(&config).unwrap();
            let options = ExportOptions {
                lowering,
                ..ExportOptions::default()
            };
            options.longest_by_memory(model.graph())
        };
        // D N is 24576: 2730 steps.
        let mamba = "kind = 'mamba'";
        assert_eq!(longest(mamba, Lowering::KoggeStone), 2730);
        assert_eq!(longest(mamba, Lowering::Blocked), 256);
        let small = "kind = 'mamba'\nexpansion = 1\nstates = 2";
        assert_eq!(longest(small, Lowering::Blocked), 4096);
        let gru = "kind = 'min_gru'\nexpansion = 100";
        assert_eq!(longest(gru, Lowering::Blocked), 65_536);
    }
}
