//! From a graph to a list of launches.

use minrnn_kernels::Elem;
use minrnn_model::graph::Graph;

use super::arena::{Buffer, arrange};
use super::launch::Launch;
use super::layout::Layout;
use super::op::{self, Known};
use super::options::{Carry, NoScratch, Options, Recompute, Scratch, Target};
use super::place::{Place, Space};
use super::planner::Planner;
use super::recompute::Step;
use super::units::units;
use crate::error::Result;
use crate::optim::Room;

/// A run of a graph as a list of launches.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For which run.
    pub options: Options,
    /// All launches in order: forward, backward, optimizer.
    pub launches: Vec<Launch>,
    /// Where the backward pass begins.
    pub backward: usize,
    /// Where the optimizer begins.
    pub optimizer: usize,
    /// Launches of the forward pass that stand in the backward pass once more.
    pub recomputed: usize,
    /// Buffers in one arena.
    pub buffers: Vec<Buffer>,
    /// Size of the arena in bytes.
    pub arena: usize,
    /// Words of [`Space::Scan`].
    pub scan: usize,
    /// The output.
    pub output: Place,
    /// Gradient of the features, where it was wanted.
    pub input_gradient: Option<Place>,
    /// The flat buffers of the parameters.
    pub layout: Layout,
}

impl Plan {
    /// Plans a run.
    ///
    /// # Errors
    /// [`TrainError::Tape`](crate::TrainError::Tape) naming a node that the tape does not know; a parameter that gets no gradient.
    pub fn new(graph: &Graph, options: Options, scratch: &dyn Scratch) -> Result<Self> {
        Self::with(graph, options, scratch, &op::KNOWN)
    }

    /// Whether the tape knows everything in a graph.
    ///
    /// # Errors
    /// [`TrainError::Tape`](crate::TrainError::Tape) naming the first node that it does not know.
    pub fn knows(graph: &Graph) -> Result<()> {
        Self::knows_with(graph, Carry::None)
    }

    /// The same of runs whose states are carried on.
    ///
    /// # Errors
    /// As [`Plan::knows`].
    pub fn knows_carried(graph: &Graph) -> Result<()> {
        Self::knows_with(graph, Carry::On)
    }

    /// Whether there is a kernel for GPUs for everything in a graph that the tape knows.
    ///
    /// # Errors
    /// As [`Plan::knows`].
    pub fn knows_on_gpus(graph: &Graph) -> Result<()> {
        Ok(op::none_for_gpus(graph)?)
    }

    /// The optimizer alone, behind steps in parts ([`Part`](super::Part)): it reads gradients and loss where somebody summed them.
    pub fn update(graph: &Graph, compute: Elem, room: Room, scratch: &dyn Scratch) -> Self {
        let options = Options {
            batch: 1,
            time: 1,
            compute,
            train: true,
            update: Some(room),
            input_gradient: false,
            target: Target::Zeros,
            weights: false,
            lens: false,
            carry: Carry::None,
            recompute: Recompute::Nothing,
        };
        let mut planner = Planner::new(graph, options, scratch);
        op::update(&mut planner, room);
        let (launches, mut buffers) = (planner.launches, planner.buffers);
        let lives = vec![vec![(0, launches.len())]; buffers.len()];
        Self {
            options,
            arena: arrange(&mut buffers, &lives),
            buffers,
            backward: 0,
            optimizer: 0,
            recomputed: 0,
            scan: 0,
            output: Place::new(Space::Loss, 1, Elem::F32),
            input_gradient: None,
            layout: planner.layout,
            launches,
        }
    }

    fn knows_with(graph: &Graph, carry: Carry) -> Result<()> {
        let options = Options {
            batch: 1,
            time: 1,
            compute: Elem::F32,
            train: false,
            update: None,
            input_gradient: false,
            target: Target::None,
            weights: false,
            lens: false,
            carry,
            recompute: Recompute::Nothing,
        };
        Self::new(graph, options, &NoScratch).map(drop)
    }

    /// The same, with these operations.
    pub(super) fn with(
        graph: &Graph,
        options: Options,
        scratch: &dyn Scratch,
        known: &Known,
    ) -> Result<Self> {
        op::check_states(graph)?;
        let mut planner = Planner::new(graph, options, scratch);
        for unit in units(graph, known) {
            planner.forward(unit, known)?;
            op::keep_states(&mut planner);
        }
        op::kept_or_unknown(&planner)?;
        let output = planner.slot(graph.output().value);
        op::loss(&mut planner, output);
        let backward = planner.launches.len();
        if options.train {
            planner.backward()?;
        }
        let optimizer = planner.launches.len();
        if let Some(room) = options.update.filter(|_| options.train) {
            op::update(&mut planner, room);
        }
        let output = planner.slots[output].place;
        let input_gradient = planner.slots[0].grad.map(|g| g.place);
        // A training step's output may be overwritten by its backward pass; what is read later must not.
        let kept = if options.train { None } else { Some(output) };
        let kept = [kept, input_gradient].into_iter().flatten();
        let keep: Vec<usize> = kept.filter_map(Place::buffer).collect();
        let (launches, mut buffers) = (planner.launches, planner.buffers);
        let step = Step::new(&launches, &buffers, (backward, optimizer), &keep);
        let order = step.order(options.recompute);
        let lives = step.lives(&order);
        let arena = arrange(&mut buffers, &lives);
        let recomputed = order.launches.len() - launches.len();
        Ok(Self {
            options,
            arena,
            buffers,
            backward,
            optimizer: optimizer + recomputed,
            recomputed,
            scan: planner.scan,
            output,
            input_gradient,
            layout: planner.layout,
            launches: (order.launches.iter())
                .map(|i| launches[*i].clone())
                .collect(),
        })
    }
}
