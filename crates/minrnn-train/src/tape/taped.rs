//! What the forward pass did, for the backward pass.

use minrnn_model::graph::{Binary, Param, State};

use super::launch::{ActivationKind, Cell, Map1, Mask, NormKind, Place, Size};
use super::plan::SlotId;

/// A layer that ran.
#[derive(Debug, Clone)]
pub(super) enum Taped {
    /// The same value in another type.
    Cast {
        x: SlotId,
        y: SlotId,
    },
    Embed {
        table: Param,
        mask: Option<Mask>,
        y: SlotId,
    },
    Linear {
        x: SlotId,
        weight: Param,
        bias: Option<Param>,
        y: SlotId,
    },
    /// With a branch `(x, a, mask)`: `s = x + mask a`.
    Norm {
        kind: NormKind,
        s: SlotId,
        branch: Option<(SlotId, SlotId, Option<Mask>)>,
        weight: Param,
        bias: Option<Param>,
        stats: Place,
        y: SlotId,
    },
    Sum {
        x: Option<SlotId>,
        a: SlotId,
        mask: Option<Mask>,
        y: SlotId,
    },
    Conv {
        x: SlotId,
        state: Option<(Place, Param)>,
        weight: Param,
        bias: Option<Param>,
        y: SlotId,
        size: Size,
        kernel: usize,
    },
    Activation {
        kind: ActivationKind,
        x: SlotId,
        y: SlotId,
    },
    Cell {
        cell: Cell,
        x: SlotId,
        h0: Option<(Place, Param)>,
        h: SlotId,
        scratch: Place,
        size: Size,
    },
    Scan {
        a: SlotId,
        b: SlotId,
        h0: Option<(Place, Param)>,
        h: SlotId,
        scratch: Place,
        size: Size,
    },
    Map1 {
        f: Map1,
        x: SlotId,
        y: SlotId,
    },
    Map2 {
        f: Binary,
        a: SlotId,
        b: SlotId,
        y: SlotId,
    },
    Vec {
        multiply: bool,
        x: SlotId,
        param: Param,
        row: usize,
        y: SlotId,
    },
    Mean {
        x: SlotId,
        y: SlotId,
    },
    Narrow {
        x: SlotId,
        start: usize,
        y: SlotId,
    },
    Concat {
        parts: Vec<SlotId>,
        y: SlotId,
    },
    Delay {
        x: SlotId,
        state: State,
        learned: Option<Param>,
        y: SlotId,
        size: Size,
        lag: usize,
        by: usize,
    },
    Last {
        x: SlotId,
        y: SlotId,
        size: Size,
    },
}
