//! A plan in the making: its values, buffers and launches.

use std::collections::BTreeMap;

use minrnn_kernels::{Elem, Size};
use minrnn_model::graph::{Graph, Input, Param, Span, Value};

use super::arena::Buffer;
use super::copy::Copy;
use super::launch::{Kernel, Launch};
use super::layout::Layout;
use super::options::{Options, Scratch};
use super::parted::Parted;
use super::place::{Mask, Place, Space};

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
    pub(super) rows: usize,
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

/// The backward pass of something that the forward pass did.
pub(super) type Back = Box<dyn FnOnce(&mut Planner<'_>)>;

/// A state's beginning where it is not zeros: its rows, and the parameter that they are, if they are learned.
pub(super) type First = Option<(Place, Option<Param>)>;

/// `scratch_len!(planner, |gpu| elements)`: elements of f32 scratch that a kernel needs where the plan will run; without a GPU 1.
macro_rules! scratch_len {
    ($planner:expr, |$gpu:pat_param| $len:expr) => {{
        #[cfg(feature = "cuda")]
        let len = $planner.scratch.gpu().map_or(1, |$gpu| $len);
        #[cfg(not(feature = "cuda"))]
        let len = 1;
        len
    }};
}
pub(super) use scratch_len;

/// `scratch!(planner, |gpu| elements)`: a buffer of so many.
macro_rules! scratch {
    ($planner:expr, |$gpu:pat_param| $len:expr) => {{
        let len: usize = $crate::tape::planner::scratch_len!($planner, |$gpu| $len);
        $planner.buffer(len.max(1), minrnn_kernels::Elem::F32)
    }};
}
pub(super) use scratch;

/// A plan in the making.
pub(super) struct Planner<'a> {
    pub(super) graph: &'a Graph,
    /// The output and, where it is one in the units of the data, the normalised values before it: f32 in every compute type.
    pub(super) ends: [usize; 2],
    pub(super) options: Options,
    pub(super) layout: Layout,
    #[cfg_attr(
        not(feature = "cuda"),
        allow(dead_code, reason = "kernels of GPUs need it")
    )]
    pub(super) scratch: &'a dyn Scratch,
    pub(super) launches: Vec<Launch>,
    pub(super) buffers: Vec<Buffer>,
    pub(super) slots: Vec<Slot>,
    /// The slot of each node that has one.
    of_node: Vec<Option<SlotId>>,
    casts: BTreeMap<(SlotId, Elem), SlotId>,
    /// What the backward pass does, in the order of the forward pass.
    pub(super) tape: Vec<Back>,
    /// Parameters whose gradient has been written.
    pub(super) written: Vec<bool>,
    /// The bias of the linear layer that made a slot, until its gradient is written.
    pub(super) bias_of: BTreeMap<SlotId, Param>,
    /// Linear layers in parts, by their position among the regions.
    pub(super) parted: BTreeMap<usize, Parted>,
    /// Gradients of states with a learned beginning, for delays.
    pub(super) delay_states: BTreeMap<usize, Place>,
    pub(super) scan: usize,
    /// Whether the last values of each state have their memory in [`Space::Next`] already.
    pub(super) kept: Vec<bool>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(graph: &'a Graph, options: Options, scratch: &'a dyn Scratch) -> Self {
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
            rows,
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
            parted: BTreeMap::new(),
            delay_states: BTreeMap::new(),
            scan: 0,
            kept: vec![false; graph.states().len()],
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

    /// Adds a launch.
    pub(super) fn launch(&mut self, kernel: impl Kernel) {
        self.launches.push(Launch::new(kernel));
    }

    /// Remembers what the backward pass does for what was just added.
    pub(super) fn back(&mut self, back: impl FnOnce(&mut Planner<'_>) + 'static) {
        self.tape.push(Box::new(back));
    }

    /// The recurrences' scratch, large enough for this one too.
    #[cfg_attr(
        not(feature = "cuda"),
        allow(unused_variables, reason = "kernels of GPUs need them")
    )]
    pub(super) fn scan_scratch(&mut self, Size { b, t, d }: Size) -> Place {
        let len = scratch_len!(self, |_| minrnn_kernels::recurrence::cuda::scratch_len(
            b, t, d
        ));
        self.scan = self.scan.max(len);
        Place::new(Space::Scan, len, Elem::F32)
    }

    /// The slot of a value.
    pub(super) fn slot(&self, value: Value) -> SlotId {
        self.of_node[value.index()].expect("values are made before they are read")
    }

    /// The slot of a value, if it has been made.
    pub(super) fn made(&self, value: Value) -> Option<SlotId> {
        self.of_node[value.index()]
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
        let (width, rows) = (node.width, self.rows(node.span));
        let place = self.buffer(rows * width, elem);
        let slot = self.push(Slot {
            place,
            width,
            rows,
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
    fn rows(&self, span: Span) -> usize {
        match span {
            Span::Step => self.options.batch * self.options.time,
            Span::Row => self.options.batch,
            Span::Model { rows } => rows,
        }
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
        let value = self.read(x);
        self.copy(value, place, false);
        let y = self.push(Slot {
            place,
            grad_elem: elem,
            ..from
        });
        self.back(move |p| {
            if let Some(dy) = p.grad_for(x, y) {
                let (dx, add) = p.target(x);
                p.copy(dy, dx, add);
            }
        });
        self.casts.insert((x, elem), y);
        y
    }

    /// Copies values, to another type if need be, or adds them.
    pub(super) fn copy(&mut self, x: Place, y: Place, add: bool) {
        self.launch(Copy { x, y, add });
    }

    /// The factor on the loss, in whose plans gradients are float16.
    pub(super) fn scale(&self) -> Option<Place> {
        let scaled = self.options.train && self.options.compute == Elem::F16;
        scaled.then(|| Place::new(Space::Scale, 1, Elem::F32))
    }

    /// The compute type.
    pub(super) fn compute(&self) -> Elem {
        self.options.compute
    }

    /// The value in the compute type.
    pub(super) fn computed(&mut self, value: Value) -> SlotId {
        let slot = self.slot(value);
        self.cast(slot, self.compute())
    }

    /// The memory of a slot, for a launch that reads it.
    pub(super) fn read(&mut self, slot: SlotId) -> Place {
        self.slots[slot].readers += 1;
        self.slots[slot].place
    }

    /// Whether node `value` is one of the graph's ends.
    pub(super) fn is_output(&self, value: usize) -> bool {
        self.ends.contains(&value)
    }

    /// A slot of the type of `x` for node `value`.
    pub(super) fn like(&mut self, x: SlotId, value: usize) -> SlotId {
        let slot = &self.slots[x];
        let elem = match slot.place.elem {
            Elem::U32 => Elem::F32,
            float => float,
        };
        self.make(value, elem, elem, slot.wanted)
    }

    /// `[B,T,width]` of this run.
    pub(super) fn size(&self, width: usize) -> Size {
        Size {
            b: self.options.batch,
            t: self.options.time,
            d: width,
        }
    }

    /// Rows and width of a slot.
    pub(super) fn matrix(&self, slot: SlotId) -> (usize, usize) {
        let slot = &self.slots[slot];
        (slot.rows, slot.width)
    }

    /// A mask in training, none otherwise.
    pub(super) fn mask(&self, mask: Option<Mask>) -> Option<Mask> {
        mask.filter(|_| self.options.train)
    }

    /// A parameter, f32.
    pub(super) fn param(&self, p: Param) -> Place {
        self.flat(Space::Params, Elem::F32, p)
    }

    /// A parameter in the compute type.
    pub(super) fn param_as(&self, p: Param, elem: Elem) -> Place {
        let space = if elem == Elem::F32 {
            Space::Params
        } else {
            Space::Shadow
        };
        self.flat(space, elem, p)
    }

    /// The gradient of a parameter.
    pub(super) fn param_grad(&self, p: Param) -> Place {
        self.flat(Space::Grads, Elem::F32, p)
    }

    fn flat(&self, space: Space, elem: Elem, p: Param) -> Place {
        Place {
            space,
            offset: self.layout.offsets[p.index()],
            len: self.layout.lens[p.index()],
            elem,
        }
    }
}
