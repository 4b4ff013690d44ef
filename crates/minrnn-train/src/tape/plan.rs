//! From a graph to a list of launches.

use std::collections::BTreeMap;

use minrnn_kernels::Elem;
use minrnn_model::graph::{Graph, Input, Span};

use super::arena::{Buffer, arrange};
use super::launch::{Launch, Map1, Place, Space};
use super::layout::Layout;
use super::units::units;
use crate::error::Result;

/// What a model is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Nothing: the output alone.
    None,
    /// Class numbers: cross-entropy.
    Classes,
    /// Values: mean squared error.
    Values,
    /// Zeros: mean of the squares.
    Zeros,
}

/// For which run a plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Options {
    /// B.
    pub batch: usize,
    /// T.
    pub time: usize,
    /// Compute type of activations: F32, Bf16 or F16.
    pub compute: Elem,
    /// Whether there is a backward pass with dropout.
    pub train: bool,
    /// Whether the optimizer runs behind it.
    pub update: bool,
    /// Whether the gradient of features is wanted too.
    pub input_gradient: bool,
    /// What the output is compared with.
    pub target: Target,
    /// Whether targets have weights.
    pub weights: bool,
    /// Whether rows have lengths.
    pub lens: bool,
}

/// Elements of scratch (f32) that a kernel needs.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "fields are sizes, by their usual names")]
pub enum Need {
    /// Gradient of a normalisation.
    Norm { rows: usize, width: usize },
    /// Gradient of a convolution.
    Conv {
        batch: usize,
        time: usize,
        width: usize,
        kernel: usize,
    },
    /// Sum of columns.
    ColumnSum { rows: usize, width: usize },
    /// Gradient of an embedding.
    Embed {
        rows: usize,
        width: usize,
        vocab: usize,
    },
    /// Cross-entropy.
    CrossEntropy { rows: usize, width: usize },
    /// Mean of squares.
    MeanSquare { rows: usize, width: usize },
    /// Norm of the gradient.
    GradNorm { len: usize },
    /// A recurrence, in words of [`Space::Scan`].
    Scan {
        batch: usize,
        time: usize,
        width: usize,
    },
}

/// How much scratch the machine's kernels need.
pub trait Scratch {
    /// Elements.
    fn len(&self, need: Need) -> usize;
}

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
    /// An operation that has no kernel, by name; a parameter that gets no gradient.
    pub fn new(graph: &Graph, options: Options, scratch: &dyn Scratch) -> Result<Self> {
        super::known::check(graph)?;
        let mut planner = Planner::new(graph, options, scratch);
        for unit in units(graph) {
            planner.forward(unit);
        }
        let output = planner.slot(graph.output().value);
        planner.loss(output);
        let backward = planner.launches.len();
        if options.train {
            planner.backward()?;
        }
        let optimizer = planner.launches.len();
        if options.train && options.update {
            planner.optimizer();
        }
        let output = planner.slots[output].place;
        let input_gradient = planner.slots[0].grad.map(|g| g.place);
        // A training step's output may be overwritten by its backward pass; what is read later must not.
        let kept = if options.train { None } else { Some(output) };
        let buffer = |p: Place| match p.space {
            Space::Buffer(i) => Some(i),
            _ => None,
        };
        let kept = [kept, input_gradient].into_iter().flatten();
        let keep: Vec<usize> = kept.filter_map(buffer).collect();
        let mut buffers = planner.buffers;
        let arena = arrange(&mut buffers, &planner.launches, &keep);
        Ok(Self {
            options,
            arena,
            buffers,
            backward,
            optimizer,
            scan: planner.scan,
            output,
            input_gradient,
            layout: planner.layout,
            launches: planner.launches,
        })
    }
}

/// A gradient.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grad {
    pub(super) place: Place,
    /// Whether another slot reads the same memory: it must not be changed in place.
    pub(super) shared: bool,
}

/// A value of the run: a node's, or one in another type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) place: Place,
    pub(super) width: usize,
    pub(super) timed: bool,
    pub(super) grad: Option<Grad>,
    /// Type of the gradient that the backward pass of its producer takes.
    pub(super) grad_elem: Elem,
    /// Whether a gradient is needed at all.
    pub(super) wanted: bool,
    /// Launches of the forward pass that read it.
    pub(super) readers: usize,
    /// Whether its producer's backward pass reads the value.
    pub(super) kept: bool,
}

/// Index of a slot.
pub(super) type SlotId = usize;

/// A plan in the making.
pub(super) struct Planner<'a> {
    pub(super) graph: &'a Graph,
    /// The output and, where it is one in the units of the data, the normalised values before it: f32 in every compute type.
    pub(super) ends: [usize; 2],
    pub(super) options: Options,
    pub(super) layout: Layout,
    scratch: &'a dyn Scratch,
    pub(super) launches: Vec<Launch>,
    buffers: Vec<Buffer>,
    pub(super) slots: Vec<Slot>,
    /// The slot of each node that has one.
    of_node: Vec<Option<SlotId>>,
    casts: BTreeMap<(SlotId, Elem), SlotId>,
    pub(super) tape: Vec<super::taped::Taped>,
    /// Parameters whose gradient has been written.
    pub(super) written: Vec<bool>,
    /// The bias of the linear layer that made a slot, until its gradient is written.
    pub(super) bias_of: BTreeMap<SlotId, minrnn_model::graph::Param>,
    /// Gradients of states with a learned beginning, for delays.
    pub(super) delay_states: BTreeMap<usize, Place>,
    scan: usize,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph, options: Options, scratch: &'a dyn Scratch) -> Self {
        let rows = options.batch * options.time;
        let (place, width) = match graph.input() {
            Input::Tokens { .. } => (Place::new(Space::Ids, rows, Elem::U32), 1),
            Input::Features { width } => {
                (Place::new(Space::Features, rows * width, Elem::F32), width)
            }
        };
        let input = Slot {
            place,
            width,
            timed: true,
            grad: None,
            grad_elem: Elem::F32,
            wanted: options.input_gradient && place.elem == Elem::F32,
            readers: 0,
            kept: true,
        };
        let mut of_node = vec![None; graph.nodes().len()];
        of_node[0] = Some(0);
        let output = graph.output().value;
        let inner = graph.denormalisation().map_or(output, |end| end.value);
        Self {
            graph,
            ends: [output.index(), inner.index()],
            options,
            layout: Layout::new(graph),
            scratch,
            launches: vec![],
            buffers: vec![],
            slots: vec![input],
            of_node,
            casts: BTreeMap::new(),
            tape: vec![],
            written: vec![false; graph.params().len()],
            bias_of: BTreeMap::new(),
            delay_states: BTreeMap::new(),
            scan: 0,
        }
    }

    /// A new buffer.
    pub(super) fn buffer(&mut self, len: usize, elem: Elem) -> Place {
        self.buffers.push(Buffer {
            bytes: len.max(1) * elem.size(),
            offset: 0,
        });
        Place::new(Space::Buffer(self.buffers.len() - 1), len, elem)
    }

    /// Scratch of a kernel, f32.
    pub(super) fn scratch(&mut self, need: Need) -> Place {
        let len = self.scratch.len(need);
        self.buffer(len.max(1), Elem::F32)
    }

    /// The recurrences' scratch, large enough for this one too.
    pub(super) fn scan_scratch(&mut self, width: usize) -> Place {
        let (batch, time) = (self.options.batch, self.options.time);
        let len = self.scratch.len(Need::Scan { batch, time, width });
        self.scan = self.scan.max(len);
        Place::new(Space::Scan, len, Elem::F32)
    }

    /// The slot of a value.
    pub(super) fn slot(&self, value: minrnn_model::graph::Value) -> SlotId {
        self.of_node[value.index()].expect("values are made before they are read")
    }

    /// A slot for node `value` with a buffer of its own.
    pub(super) fn make(
        &mut self,
        value: usize,
        elem: Elem,
        grad_elem: Elem,
        wanted: bool,
    ) -> SlotId {
        let node = &self.graph.nodes()[value];
        let (width, timed) = (node.width, node.span == Span::Step);
        let len = self.rows(timed) * width;
        let place = self.buffer(len, elem);
        let slot = self.push(Slot {
            place,
            width,
            timed,
            grad: None,
            grad_elem,
            wanted,
            readers: 0,
            kept: false,
        });
        self.of_node[value] = Some(slot);
        slot
    }

    /// A new slot, without readers and gradient.
    pub(super) fn push(&mut self, slot: Slot) -> SlotId {
        self.slots.push(Slot {
            grad: None,
            readers: 0,
            kept: false,
            ..slot
        });
        self.slots.len() - 1
    }

    /// Makes node `value` another name of a slot.
    pub(super) fn alias(&mut self, value: usize, slot: SlotId) {
        self.of_node[value] = Some(slot);
    }

    /// Rows of a value.
    pub(super) fn rows(&self, timed: bool) -> usize {
        self.options.batch * if timed { self.options.time } else { 1 }
    }

    /// The slot's value in another type.
    pub(super) fn cast(&mut self, x: SlotId, elem: Elem) -> SlotId {
        if self.slots[x].place.elem == elem {
            return x;
        }
        if let Some(known) = self.casts.get(&(x, elem)) {
            return *known;
        }
        let from = self.slots[x];
        let place = self.buffer(from.place.len, elem);
        self.launches.push(Launch::Map1 {
            f: Map1::Copy,
            x: from.place,
            y: place,
            add: false,
        });
        self.slots[x].readers += 1;
        let y = self.push(Slot {
            place,
            grad_elem: elem,
            ..from
        });
        self.casts.insert((x, elem), y);
        self.tape.push(super::taped::Taped::Cast { x, y });
        y
    }

    /// A parameter, f32.
    pub(super) fn param(&self, p: minrnn_model::graph::Param) -> Place {
        self.flat(Space::Params, Elem::F32, p.index())
    }

    /// A parameter in the compute type.
    pub(super) fn param_as(&self, p: minrnn_model::graph::Param, elem: Elem) -> Place {
        let space = if elem == Elem::F32 {
            Space::Params
        } else {
            Space::Shadow
        };
        self.flat(space, elem, p.index())
    }

    /// The gradient of a parameter.
    pub(super) fn param_grad(&self, p: usize) -> Place {
        self.flat(Space::Grads, Elem::F32, p)
    }

    fn flat(&self, space: Space, elem: Elem, p: usize) -> Place {
        Place {
            space,
            offset: self.layout.offsets[p],
            len: self.layout.lens[p],
            elem,
        }
    }
}
