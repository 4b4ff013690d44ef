//! `[model.cell]` of state spaces with a fixed diagonal, and of attention as a recurrence.

use super::{Default, Key, Table};

pub(super) const EXPANSION: Key = Key {
    name: "expansion",
    kind: "number",
    default: Default::Is("1.0"),
    meaning: "D / M: the cell has D channels.",
    example: "2.0",
};
pub(super) const BIAS: Key = Key {
    name: "bias",
    kind: "true or false",
    default: Default::Is("false"),
    meaning: "Plain block: whether the linear maps before and behind have a bias.",
    example: "true",
};
const STATES: Key = Key {
    name: "states",
    kind: "whole number",
    default: Default::Is("64"),
    meaning: "N, real numbers of a channel's state; even: N / 2 complex ones.",
    example: "16",
};
const DIAGONAL: Key = Key {
    name: "diagonal",
    kind: "`\"lin\"` or `\"inv\"`",
    default: Default::Is("\"lin\""),
    meaning: "First imaginary parts of the diagonal: those of S4D-Lin or of S4D-Inv.",
    example: "\"inv\"",
};
const STEP: Key = Key {
    name: "step",
    kind: "two numbers",
    default: Default::Is("[0.001, 0.1]"),
    meaning: "Smallest and largest step size that channels begin with.",
    example: "[0.01, 0.1]",
};

pub(super) const S4D: Table = Table {
    name: "model.cell.s4d",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"s4d\"`",
            default: Default::Needed,
            meaning: "The diagonal state space, S4D.",
            example: "\"s4d\"",
        },
        EXPANSION,
        STATES,
        DIAGONAL,
        STEP,
        BIAS,
    ],
};

pub(super) const H3: Table = Table {
    name: "model.cell.h3",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"h3\"`",
            default: Default::Needed,
            meaning: "H3.",
            example: "\"h3\"",
        },
        EXPANSION,
        STATES,
        Key {
            name: "taps",
            kind: "whole number",
            default: Default::Is("64"),
            meaning: "Steps that the shift sees.",
            example: "4",
        },
        DIAGONAL,
        STEP,
        BIAS,
    ],
};

pub(super) const AAREN: Table = Table {
    name: "model.cell.aaren",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"aaren\"`",
            default: Default::Needed,
            meaning: "Attention of a learned query over all steps so far, as a recurrence.",
            example: "\"aaren\"",
        },
        EXPANSION,
        Key {
            name: "head_channels",
            kind: "whole number",
            default: Default::Words("all channels, one head"),
            meaning: "P, channels of a head: there are D / P heads.",
            example: "8",
        },
        BIAS,
    ],
};
