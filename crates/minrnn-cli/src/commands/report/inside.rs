//! What happens inside of a model on windows of data: the recurrences of its graph, whatever mixer wrote them, as the float64 oracle
//! computes them.

use anyhow::Result;
use minrnn_model::graph::{Graph, Law, Op};
use minrnn_model::oracle::{self, Data, Run, Tensor};
use minrnn_model::params::Params;
use minrnn_train::task::{Batch, Input, Split, Task};

use super::histogram::Histogram;

/// Multiply-adds that this may cost: some seconds.
const BUDGET: f64 = 4e9;
/// Steps, at most: more would change no bar.
const STEPS: usize = 8192;
/// Memory of a channel that forgets nothing, in steps.
pub(super) const NEVER: f64 = 1e7;

/// A recurrence `h[t] = a[t] h[t-1] + b[t]`.
#[derive(Debug)]
pub(super) struct Recurrence {
    /// Where it is, e.g. `layers.0.rnn`.
    pub(super) scope: String,
    pub(super) channels: usize,
    /// a, what is kept of the state.
    pub(super) keep: Histogram,
    /// b, what is added.
    pub(super) add: Histogram,
    /// h.
    pub(super) state: Histogram,
    /// Sums of |a|, a channel each.
    kept: Vec<f64>,
    steps: u64,
}

impl Recurrence {
    /// Steps that each channel remembers, `1 / (1 - mean |a|)`, the shortest first; [`NEVER`] at most.
    pub(super) fn memory(&self) -> Vec<f64> {
        let steps = |sum: &f64| {
            let forgets = 1.0 - sum / self.steps as f64;
            (1.0 / forgets.max(1.0 / NEVER)).min(NEVER)
        };
        let mut all: Vec<f64> = self.kept.iter().map(steps).collect();
        all.sort_by(f64::total_cmp);
        all
    }
}

/// What was looked at.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) recurrences: Vec<Recurrence>,
    pub(super) windows: u64,
    pub(super) steps: u64,
}

/// The nodes of a recurrence: a, b, h.
struct Place {
    nodes: [usize; 3],
}

/// Looks at the first windows of a part.
///
/// # Errors
/// Those of the data and of the oracle.
pub(super) fn look(
    graph: &Graph,
    params: &Params,
    (task, split, most): (&dyn Task, Split, u64),
    see: &mut dyn FnMut(u64),
) -> Result<Inside> {
    let (places, mut recurrences) = places(graph);
    let (mut windows, mut steps) = (0, 0);
    let each = params.count().max(1) as f64;
    while !places.is_empty() && windows < most {
        see(windows);
        let batch = task.batch(split, windows, 1)?;
        let cost = (steps + batch.time) as f64 * each;
        if windows > 0 && (cost > BUDGET || steps + batch.time > STEPS) {
            break;
        }
        one(graph, params, &batch, (&places, &mut recurrences))?;
        windows += 1;
        steps += batch.time;
    }
    Ok(Inside {
        recurrences,
        windows,
        steps: steps as u64,
    })
}

fn places(graph: &Graph) -> (Vec<Place>, Vec<Recurrence>) {
    let (mut places, mut all) = (vec![], vec![]);
    for (i, node) in graph.nodes().iter().enumerate() {
        let nodes = match node.op {
            Op::Recur {
                law: Law::Linear, ..
            } => [node.inputs[0].index(), node.inputs[1].index(), i],
            _ => continue,
        };
        places.push(Place { nodes });
        all.push(Recurrence {
            scope: node.scope.clone(),
            channels: node.width,
            keep: Histogram::default(),
            add: Histogram::default(),
            state: Histogram::default(),
            kept: vec![0.0; node.width],
            steps: 0,
        });
    }
    (places, all)
}

fn one(
    graph: &Graph,
    params: &Params,
    batch: &Batch,
    (places, all): (&[Place], &mut [Recurrence]),
) -> Result<()> {
    let data = match &batch.input {
        Input::Tokens { ids } => Data::Tokens(ids),
        Input::Features { values, .. } => Data::Features(values),
    };
    let lens: Option<Vec<usize>> = batch
        .lens
        .as_ref()
        .map(|lens| lens.iter().map(|n| *n as usize).collect());
    let run = Run {
        lens: lens.as_deref(),
        reset: batch.reset.as_deref(),
        ..Run::new(batch.batch, batch.time, data)
    };
    let length = lens.as_ref().map_or(batch.time, |lens| lens[0]);
    oracle::walk(graph, params, &run, &mut |value, tensor| {
        for (place, found) in places.iter().zip(all.iter_mut()) {
            if let Some(what) = place.nodes.iter().position(|n| *n == value.index()) {
                found.take(what, tensor, length);
            }
        }
    })?;
    Ok(())
}

impl Recurrence {
    fn take(&mut self, what: usize, tensor: &Tensor, length: usize) {
        let values = &tensor.data[..(length * self.channels).min(tensor.data.len())];
        let into = match what {
            0 => &mut self.keep,
            1 => &mut self.add,
            _ => &mut self.state,
        };
        values.iter().for_each(|v| into.add(*v));
        if what == 0 {
            for row in values.chunks_exact(self.channels) {
                self.kept
                    .iter_mut()
                    .zip(row)
                    .for_each(|(s, a)| *s += a.abs());
                self.steps += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use minrnn_model::config::ModelConfig;
    use minrnn_model::model::Model;
    use minrnn_train::task::TaskConfig;

    use super::*;

    fn model(cell: &str) -> (Model, Box<dyn Task>) {
        let task: TaskConfig = toml::from_str(
            "kind = \"selective_copying\"\nlength = 12\ndata_tokens = 3\nvocab = 6\neval_samples = 4\n",
        )
        .unwrap();
        let task = task.open(0).unwrap();
        let text = format!(
            "width = 6\nlayers = 2\ninput = {{ vocab = 6 }}\nhead = {{ width = 6 }}\n[cell]\n{cell}\n"
        );
        let config: ModelConfig = toml::from_str(&text).unwrap();
        (Model::from_config(&config).unwrap(), task)
    }

    /// A gate whose logits are its bias alone has one memory: sigmoid(ln 3) = 3/4 keeps 4 steps.
    #[test]
    fn the_memory_of_a_gate_is_what_it_forgets() {
        let (model, task) = model("kind = \"min_gru\"\nexpansion = 1.0");
        let graph = model.graph();
        let mut params = Params::init(graph, 0);
        for (i, spec) in graph.params().iter().enumerate() {
            if spec.name.ends_with("rnn.in.weight") {
                params.get_mut(i).fill(0.0);
            }
            if spec.name.ends_with("rnn.in.bias") {
                // The gate that replaces, then the candidate.
                let half = spec.len() / 2;
                params.get_mut(i)[..half].fill(-(3.0f32.ln()));
            }
        }
        let inside = look(graph, &params, (&*task, Split::Test, 4), &mut |_| {}).unwrap();
        assert_eq!((inside.windows, inside.steps), (4, 60));
        assert_eq!(inside.recurrences.len(), 2);
        for found in &inside.recurrences {
            let memory = found.memory();
            assert_eq!(memory.len(), 6);
            assert!(memory.iter().all(|m| (m - 4.0).abs() < 1e-5), "{memory:?}");
            assert_eq!(found.keep.count, 60 * 6);
            assert!((found.keep.mean() - 0.75).abs() < 1e-6);
        }
    }

    /// State spaces have a state of some channels for each channel of the model, and decays below 1.
    #[test]
    fn recurrences_are_found_by_what_they_do() {
        for (cell, channels) in [
            ("kind = \"min_lstm\"\nexpansion = 1.0", 6),
            ("kind = \"mamba\"\nstates = 4\nexpansion = 1.0", 24),
        ] {
            let (model, task) = model(cell);
            let params = Params::init(model.graph(), 0);
            let task = (&*task, Split::Test, 1);
            let inside = look(model.graph(), &params, task, &mut |_| {}).unwrap();
            let found = &inside.recurrences[0];
            assert_eq!(
                (inside.recurrences.len(), found.channels),
                (2, channels),
                "{cell}"
            );
            assert!(found.keep.min >= 0.0 && found.keep.max <= 1.0, "{cell}");
            assert!(
                found.memory().iter().all(|m| *m >= 1.0 && *m < NEVER),
                "{cell}"
            );
        }
    }
}
