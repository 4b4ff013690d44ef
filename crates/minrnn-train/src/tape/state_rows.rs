//! Where the states of some sequences lie among those of a batch.

use std::ops::Range;

use minrnn_model::graph::Graph;

use super::place::{Place, Space};

/// Where a state of a part lies: among those of the whole batch, and among those of the part alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateRows {
    /// First element, the batch's states behind each other.
    pub(super) whole: usize,
    /// First element, the part's states behind each other.
    pub(super) part: usize,
    /// Elements.
    pub(super) len: usize,
}

/// Of each state, the `rows` of a batch of `all`.
pub(super) fn state_rows(graph: &Graph, all: usize, rows: Range<usize>) -> Vec<StateRows> {
    let mut before = 0;
    let each = graph.states().iter().map(|state| {
        let width = state.len();
        let at = StateRows {
            whole: before * all + rows.start * width,
            part: before * rows.len(),
            len: rows.len() * width,
        };
        before += width;
        at
    });
    each.collect()
}

/// All states of so many rows, in a space.
pub(super) fn all_states(graph: &Graph, rows: usize, space: Space) -> Place {
    let each: usize = graph.states().iter().map(|state| state.len()).sum();
    Place::new(space, rows * each, minrnn_kernels::Elem::F32)
}

#[cfg(test)]
mod tests {
    use minrnn_model::config::ModelConfig;
    use minrnn_model::model::Model;

    use super::*;

    #[test]
    fn the_states_of_parts_are_those_of_the_whole() {
        let text =
            "width = 4\nlayers = 2\n[input]\nvocab = 5\n[conv]\nkernel = 3\n[head]\nwidth = 3";
        let config: ModelConfig = toml::from_str(text).unwrap();
        let model = Model::from_config(&config).unwrap();
        let graph = model.graph();
        let whole: Vec<usize> = (0..all_states(graph, 5, Space::Next).len).collect();
        let mut filled = vec![usize::MAX; whole.len()];
        for rows in [0..2, 2..5] {
            let mut end = 0;
            for at in state_rows(graph, 5, rows.clone()) {
                assert_eq!(at.part, end);
                end += at.len;
                filled[at.whole..][..at.len].copy_from_slice(&whole[at.whole..][..at.len]);
            }
            assert_eq!(end, all_states(graph, rows.len(), Space::Next).len);
        }
        assert_eq!(filled, whole);
    }
}
