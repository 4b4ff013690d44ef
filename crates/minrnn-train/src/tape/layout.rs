//! Where each parameter lies in the flat buffers.

use minrnn_kernels::Elem;
use minrnn_model::graph::Graph;
use minrnn_model::params::Role;

use super::place::{Place, Space};
use crate::optim::Kind;

/// Parameters begin at multiples of this many elements, so that every kernel may read 16 bytes at once.
const ALIGN: usize = 64;

/// All parameters behind each other: those with weight decay, the other trained ones, then buffers. Gaps hold zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// First element of each parameter, in the graph's order.
    pub offsets: Vec<usize>,
    /// Elements of each parameter.
    pub lens: Vec<usize>,
    /// Shape of each parameter.
    pub shapes: Vec<Vec<usize>>,
    /// Kind of each parameter.
    pub kinds: Vec<Kind>,
    /// Parameters that are trained, in the order in which they lie.
    pub trained: Vec<usize>,
    /// End of those with weight decay.
    pub decayed_len: usize,
    /// End of those that are trained.
    pub trained_len: usize,
    /// End of all.
    pub total: usize,
}

/// Neighbours in the flat buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Their first element.
    pub from: usize,
    /// Elements.
    pub len: usize,
    /// Elements, from the first, to which weight decay applies.
    pub decayed: usize,
}

impl Layout {
    /// For the parameters of `graph`.
    pub fn new(graph: &Graph) -> Self {
        let params = graph.params();
        let mut layout = Self {
            offsets: vec![0; params.len()],
            lens: params.iter().map(|p| p.len()).collect(),
            shapes: params.iter().map(|p| p.shape.clone()).collect(),
            kinds: Kind::of(graph),
            trained: vec![],
            decayed_len: 0,
            trained_len: 0,
            total: 0,
        };
        for group in 0..3 {
            for (i, spec) in params.iter().enumerate() {
                let of = match spec.role {
                    Role::Weight { decay: true, .. } => 0,
                    Role::Weight { decay: false, .. } => 1,
                    Role::Buffer { .. } => 2,
                };
                if of == group {
                    layout.offsets[i] = layout.total;
                    layout.total += spec.len().next_multiple_of(ALIGN);
                    if group < 2 {
                        layout.trained.push(i);
                    }
                }
            }
            match group {
                0 => layout.decayed_len = layout.total,
                1 => layout.trained_len = layout.total,
                _ => {}
            }
        }
        layout
    }

    /// Trained parameters of some kinds, those behind each other at once, with the gap behind each.
    pub fn runs(&self, of: impl Fn(Kind) -> bool) -> Vec<Run> {
        let ends = self.trained.iter().skip(1).map(|i| self.offsets[*i]);
        let ends = ends.chain([self.trained_len]);
        let mut runs: Vec<Run> = vec![];
        for (i, end) in self.trained.iter().zip(ends) {
            let from = self.offsets[*i];
            if !of(self.kinds[*i]) {
                continue;
            }
            let decayed = self.decayed_len.clamp(from, end) - from;
            match runs.last_mut().filter(|run| run.from + run.len == from) {
                Some(run) => {
                    run.len += end - from;
                    run.decayed += decayed;
                }
                None => runs.push(Run {
                    from,
                    len: end - from,
                    decayed,
                }),
            }
        }
        runs
    }

    /// The matrices of hidden layers, those of one shape together, in the order in which they lie.
    pub fn hidden_groups(&self) -> Vec<([usize; 2], Vec<usize>)> {
        let mut groups: Vec<([usize; 2], Vec<usize>)> = vec![];
        for i in self
            .trained
            .iter()
            .copied()
            .filter(|i| self.kinds[*i].hidden)
        {
            let [rows, cols] = self.shapes[i][..] else {
                continue;
            };
            match groups.iter_mut().find(|(size, _)| *size == [rows, cols]) {
                Some((_, of)) => of.push(i),
                None => groups.push(([rows, cols], vec![i])),
            }
        }
        groups
    }

    /// Where a parameter lies in a flat space.
    pub(crate) fn leaf(&self, space: Space, i: usize) -> Place {
        Place {
            space,
            offset: self.offsets[i],
            len: self.lens[i],
            elem: Elem::F32,
        }
    }

    /// Begins of the trained parameters, then the end of the last: what a kernel needs to say whose gradient is not finite.
    pub fn segments(&self) -> Vec<u32> {
        let begins = self.trained.iter().map(|i| self.offsets[*i] as u32);
        begins.chain([self.trained_len as u32]).collect()
    }
}

#[cfg(test)]
mod tests {
    use minrnn_model::config::ModelConfig;
    use minrnn_model::model::Model;

    use super::*;

    fn layout() -> Layout {
        let text = "width = 8\nlayers = 2\n[input]\nvocab = 11\n[head]\nwidth = 11\n[conv]\nkernel = 3\n[cell]\nkind = 'min_gru'\n[mlp]\n";
        let config: ModelConfig = toml::from_str(text).expect(text);
        Layout::new(Model::from_config(&config).unwrap().graph())
    }

    #[test]
    fn all_kinds_are_one_run() {
        let layout = layout();
        let whole = Run {
            from: 0,
            len: layout.trained_len,
            decayed: layout.decayed_len,
        };
        assert_eq!(layout.runs(|_| true), [whole]);
    }

    #[test]
    fn runs_and_groups_hold_every_parameter_once() {
        let layout = layout();
        let mut seen = vec![];
        for run in layout.runs(|kind| !kind.hidden) {
            let own = |i: &&usize| (run.from..run.from + run.len).contains(&layout.offsets[**i]);
            for i in layout.trained.iter().filter(own) {
                assert!(!layout.kinds[*i].hidden);
                assert!(layout.offsets[*i] + layout.lens[*i] <= run.from + run.len);
                let decays = layout.offsets[*i] < run.from + run.decayed;
                assert_eq!(decays, layout.kinds[*i].decay);
                seen.push(*i);
            }
        }
        for (size, of) in layout.hidden_groups() {
            assert!(of.len() > 1, "two layers have each shape");
            assert!(of.iter().all(|i| layout.shapes[*i] == size));
            seen.extend(of);
        }
        let mut wanted = layout.trained.clone();
        seen.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(seen, wanted);
    }
}
