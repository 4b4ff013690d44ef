//! `[model.block]`, and `[model.cell]` of the selective state spaces.

use super::{Default, Key, Table};

pub(super) const BLOCK: Table = Table {
    name: "model.block",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"plain\"` or `\"mamba\"`",
            default: Default::Needed,
            meaning: "What stands around the cell: its own linear maps, or Mamba's block, `out(gate(cell(silu(conv(x))), z))`.",
            example: "\"mamba\"",
        },
        Key {
            name: "kernel",
            kind: "whole number",
            default: Default::Is("4"),
            meaning: "Mamba's block: steps that its convolution sees.",
            example: "3",
        },
        Key {
            name: "conv_bias",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "Mamba's block: whether its convolution has a bias.",
            example: "false",
        },
        Key {
            name: "bias",
            kind: "true or false",
            default: Default::Is("false"),
            meaning: "Mamba's block: whether its linear maps have a bias.",
            example: "true",
        },
    ],
};

const EXPANSION: Key = Key {
    name: "expansion",
    kind: "number",
    default: Default::Is("2.0"),
    meaning: "D / M: the cell has D channels.",
    example: "1.0",
};
const STEP: Key = Key {
    name: "step",
    kind: "two numbers",
    default: Default::Is("[0.001, 0.1]"),
    meaning: "Smallest and largest step size that channels (`mamba2`: heads) begin with.",
    example: "[0.01, 0.1]",
};
const BIAS: Key = Key {
    name: "bias",
    kind: "true or false",
    default: Default::Is("false"),
    meaning: "Plain block: whether the linear maps before and behind have a bias.",
    example: "true",
};

pub(super) const MAMBA: Table = Table {
    name: "model.cell.mamba",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"mamba\"`",
            default: Default::Needed,
            meaning: "Mamba's selective state space, S6.",
            example: "\"mamba\"",
        },
        EXPANSION,
        Key {
            name: "states",
            kind: "whole number",
            default: Default::Is("16"),
            meaning: "N, states of a channel.",
            example: "8",
        },
        Key {
            name: "rank",
            kind: "whole number",
            default: Default::Words("M / 16, rounded up"),
            meaning: "Channels that the step sizes are made of.",
            example: "4",
        },
        STEP,
        BIAS,
    ],
};

pub(super) const MAMBA2: Table = Table {
    name: "model.cell.mamba2",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"mamba2\"`",
            default: Default::Needed,
            meaning: "Mamba-2's state space, SSD.",
            example: "\"mamba2\"",
        },
        EXPANSION,
        Key {
            name: "states",
            kind: "whole number",
            default: Default::Is("128"),
            meaning: "N, states of a channel.",
            example: "16",
        },
        Key {
            name: "head_channels",
            kind: "whole number",
            default: Default::Is("64"),
            meaning: "P, channels of a head: there are D / P heads.",
            example: "8",
        },
        Key {
            name: "groups",
            kind: "whole number",
            default: Default::Is("1"),
            meaning: "G; heads of a group share b and c.",
            example: "2",
        },
        Key {
            name: "norm_groups",
            kind: "whole number",
            default: Default::Words("as many as `groups`"),
            meaning: "Mamba's block: groups of channels that its gated norm takes by themselves.",
            example: "1",
        },
        STEP,
        Key {
            name: "rate",
            kind: "two numbers",
            default: Default::Is("[1.0, 16.0]"),
            meaning: "Smallest and largest decay of a unit of step size that heads begin with.",
            example: "[1.0, 8.0]",
        },
        BIAS,
    ],
};
