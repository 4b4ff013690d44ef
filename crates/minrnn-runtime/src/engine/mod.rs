//! The executor: the graph of an export as a program of row operations, run over blocks of rows.
//!
//! Each operation is defined on one row by a fixed order of IEEE operations (`kernels`). So a row's values depend on that
//! row and its past alone: not on how many rows are computed together, not on how a sequence is cut, not on the form of the
//! file. Steps run as blocks of rows of a batch; sequences as chunks of time, each handing its last states to the next.

mod chunk;
mod compile;
mod constant;
mod elem;
mod instr;
mod length;
mod registers;
mod rows;
mod sequence;
mod step;
mod steps;
mod value;
mod wave;

use crate::proto::{GraphProto, TensorProto};

use self::instr::{Capture, Carry, Instr, Register};
use self::value::View;
use crate::info::Info;
use crate::weights::Weights;

pub(crate) use compile::Unsupported;
pub(crate) use registers::Workspace;
pub(crate) use rows::Fault;
pub(crate) use step::{RowStates, Step};
pub(crate) use wave::{Data, Sequence};

/// What an input or output of the graph is, and where its values are.
#[derive(Debug, Clone, Copy)]
enum Port {
    Data(View),
    State(usize, View),
    Lengths,
    Reset(View),
}

impl Port {
    fn view(&self) -> Option<View> {
        match self {
            Self::Data(v) | Self::State(_, v) | Self::Reset(v) => Some(*v),
            Self::Lengths => None,
        }
    }

    fn view_mut(&mut self) -> Option<&mut View> {
        match self {
            Self::Data(v) | Self::State(_, v) | Self::Reset(v) => Some(v),
            Self::Lengths => None,
        }
    }
}

/// All values of an f32 constant.
pub(crate) fn floats(data: &TensorProto) -> Option<Vec<f32>> {
    let constant = constant::Constant::of(data).filter(|c| c.elem == elem::Elem::F32)?;
    constant.f32s().map(std::borrow::Cow::into_owned)
}

/// A compiled graph. Immutable; weights are packed once.
#[derive(Debug)]
pub(crate) struct Program {
    /// A sequence form.
    timed: bool,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// Registers with a row for each row of the batch and step.
    rows: Vec<Register>,
    /// Registers with a row for each row of the batch: states before and after.
    batch: Vec<Register>,
    begin: Vec<Instr>,
    body: Vec<Instr>,
    end: Vec<Instr>,
    carries: Vec<Carry>,
    captures: Vec<Capture>,
    /// The data output is computed after the last step.
    data_at_end: bool,
}

impl Program {
    /// Compiles `graph`, which has passed the checks of structure and contract.
    pub(crate) fn compile(
        graph: &GraphProto,
        info: &Info,
        weights: &Weights,
    ) -> Result<Self, Unsupported> {
        compile::compile(graph, info, weights)
    }

    /// Renames the registers of ports that have a row for each step.
    fn move_rows(&mut self, place: &[usize]) {
        let (timed, at_end) = (self.timed, self.data_at_end);
        let (ins, outs) = (self.inputs.iter_mut(), self.outputs.iter_mut());
        let ports = ins.map(|p| (p, false)).chain(outs.map(|p| (p, at_end)));
        for (port, at_end) in ports {
            let state = matches!(port, Port::State(..));
            if timed && (state || at_end) {
                continue;
            }
            if let Some(view) = port.view_mut() {
                view.reg = place[view.reg];
            }
        }
    }
}
