//! How much memory a run will take, before it takes any. Rough, from the shapes of the graph, and rather too little than too
//! much: what fits is not to be refused.

use minrnn_kernels::Elem;
use minrnn_model::graph::{Fused, Graph, Op, OutputKind, Span};

use crate::error::{Result, TrainError};
use crate::memory::Memory;
use crate::optim::Room;
use crate::run;
use crate::tape::{Carry, NoScratch, Options, Plan, Recompute, Target};

/// Bytes of an f32.
const F32: u128 = 4;

impl Memory {
    /// Of steps with `batch` sequences of `time` steps; `host`: whether they are computed in main memory, not in a GPU's.
    pub fn of(graph: &Graph, batch: usize, time: usize, host: bool) -> Self {
        let lens = graph.params().iter().map(|spec| {
            let each = spec.shape.iter().map(|d| *d as u128);
            each.fold(1, u128::saturating_mul)
        });
        let values: u128 = lens.fold(0, u128::saturating_add);
        let parameters = values.saturating_mul(F32);
        let steps = (batch as u128).saturating_mul(time as u128);
        let part = |yes: bool, bytes: u128| if yes { whole(bytes) } else { 0 };
        Self {
            values: whole(values),
            batch,
            time,
            weights: part(host, parameters.saturating_mul(3)),
            gradients: part(host, parameters),
            activations: part(host, kept(graph).saturating_mul(steps)),
            // Three copies as tensors, three as the bytes of the files.
            saving: whole(parameters.saturating_mul(6)),
            data: 0,
        }
    }

    /// The same where the tape computes the steps in main memory: its plan says what activations take, which is less.
    pub fn planned(self, graph: &Graph) -> Self {
        /// Beyond this nothing fits anywhere, and the arithmetic of plans need not be asked.
        const MOST: u64 = 1 << 48;
        if self.activations == 0 || self.activations > MOST {
            return self;
        }
        let options = Options {
            batch: self.batch,
            time: self.time,
            compute: Elem::F32,
            train: true,
            update: Some(Room {
                slots: 0,
                matrices: false,
            }),
            input_gradient: false,
            target: match graph.output().kind {
                OutputKind::Logits => Target::Classes,
                OutputKind::Values => Target::Values,
            },
            weights: false,
            lens: false,
            carry: Carry::None,
            recompute: Recompute::Large,
        };
        let plan = Plan::new(graph, options, &NoScratch);
        let arena = plan.map_or(u64::MAX, |plan| plan.arena as u64);
        Self {
            activations: self.activations.min(arena),
            ..self
        }
    }

    /// # Errors
    /// [`TrainError::Memory`] if more than `limit` bytes are needed; `None` is no limit.
    pub(super) fn check(self, limit: Option<u64>) -> Result<()> {
        match limit {
            Some(limit) if self.peak() > limit => Err(TrainError::Memory { needs: self, limit }),
            _ => Ok(()),
        }
    }
}

fn whole(bytes: u128) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Bytes a step of a sequence that are alive when the backward pass begins, and the largest that it adds.
fn kept(graph: &Graph) -> u128 {
    let nodes = graph.nodes();
    let (mut sum, mut widest, mut i) = (0_u128, 0_u128, 0);
    while i < nodes.len() {
        let region = graph
            .regions()
            .iter()
            .find(|r| r.nodes.start == i && !r.nodes.is_empty());
        let (copies, node) = match region {
            Some(region) => {
                i = region.nodes.end;
                let biased = matches!(region.fused, Fused::Linear { bias: true });
                (1 + u128::from(biased), graph.node(region.outputs[0]))
            }
            None => {
                i += 1;
                // Dropout keeps its mask.
                let masked = matches!(nodes[i - 1].op, Op::Dropout { p } if p > 0.0);
                let patches = match nodes[i - 1].op {
                    Op::Conv { state } => run::patches(graph.state_spec(state).lag()),
                    _ => 0,
                };
                (1 + u128::from(masked) + patches as u128, &nodes[i - 1])
            }
        };
        if node.span == Span::Step {
            sum += copies * node.width as u128;
            widest = widest.max(node.width as u128);
        }
    }
    // Gradients of a value and of what it was made of.
    (sum + 2 * widest) * F32
}

#[cfg(test)]
mod tests {
    use super::*;
    use minrnn_model::config::ModelConfig;
    use minrnn_model::model::Model;

    fn memory(width: usize, batch: usize) -> Memory {
        let text = format!(
            "width = {width}\nlayers = 1\ninput = {{ vocab = 4 }}\nhead = {{ width = 4 }}\n[cell]\nkind = 'min_gru'"
        );
        let config: ModelConfig = toml::from_str(&text).unwrap();
        Memory::of(
            Model::from_config(&config).unwrap().graph(),
            batch,
            10,
            true,
        )
    }

    /// Of a convolution by long filters the rows of its blocks, not of each of its taps.
    #[test]
    fn filters_are_counted_by_blocks() {
        let kept = |longest: usize| {
            let text = format!(
                "width = 8\nlayers = 1\ninput = {{ vocab = 4 }}\nhead = {{ width = 4 }}\n[cell]\nkind = 'hyena'\nlongest = {longest}\n"
            );
            let config: ModelConfig = toml::from_str(&text).unwrap();
            let model = Model::from_config(&config).unwrap();
            Memory::of(model.graph(), 2, 10, true).activations
        };
        assert_eq!(kept(1024) - kept(32), 31 * 8 * 4 * 2 * 10);
    }

    /// Buffers that are never alive together share memory: less than candle, which keeps all.
    #[test]
    fn a_plan_takes_less_memory_than_candle_would() {
        let text = "width = 32\nlayers = 3\n[input]\nvocab = 9\n[head]\nwidth = 9\n[conv]\nkernel = 4\n[cell]\nkind = 'min_gru'\n[mlp]\nexpansion = 4.0";
        let config: ModelConfig = toml::from_str(text).unwrap();
        let model = Model::from_config(&config).unwrap();
        let candle = Memory::of(model.graph(), 16, 50, true);
        let tape = candle.planned(model.graph());
        assert!(tape.activations < candle.activations, "{tape:?} {candle:?}");
        assert!(
            tape.activations > candle.activations / 3,
            "{tape:?} {candle:?}"
        );
        assert_eq!(tape.weights, candle.weights);
    }

    #[test]
    fn the_largest_sizes_have_a_number_and_a_name() {
        let large = memory(1 << 20, usize::MAX);
        assert_eq!(large.peak(), u64::MAX);
        let wide = memory(200_000, 1);
        assert!(
            wide.is_weights() && wide.peak() > 1_000_000_000_000,
            "{wide:?}"
        );
        let error = wide.check(Some(8_000_000_000)).unwrap_err().to_string();
        assert!(
            error.contains(" TB of memory") && error.ends_with("; 8.0 GB are available"),
            "{error}"
        );
        let long = memory(8, 1 << 20);
        assert!(!long.is_weights());
        long.check(None).unwrap();
        long.check(Some(long.peak())).unwrap();
        assert!(long.check(Some(long.peak() - 1)).is_err());
    }
}
