//! `[model.cell]` of GRU and LSTM.

use super::{Default, Key, Table};

const EXPANSION: Key = Key {
    name: "expansion",
    kind: "number",
    default: Default::Is("1.0"),
    meaning: "D / M: a state has D channels.",
    example: "2.0",
};
const BIAS: Key = Key {
    name: "bias",
    kind: "true or false",
    default: Default::Is("true"),
    meaning: "Whether the linear maps have a bias: both of the cell, as PyTorch has them, and the one behind it.",
    example: "false",
};
const INITIAL_STATE: Key = Key {
    name: "initial_state",
    kind: "`\"zero\"` or `\"learned\"`",
    default: Default::Is("\"zero\""),
    meaning: "Where the states begin; learned ones are 0 at first.",
    example: "\"learned\"",
};
const OUTPUT_PROJECTION: Key = Key {
    name: "output_projection",
    kind: "true or false",
    default: Default::Is("true"),
    meaning: "Whether a linear map leads from D back to M; needed where D is not M.",
    example: "false",
};

pub(super) const GRU: Table = Table {
    name: "model.cell.gru",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"gru\"`",
            default: Default::Needed,
            meaning: "PyTorch's GRU.",
            example: "\"gru\"",
        },
        EXPANSION,
        BIAS,
        INITIAL_STATE,
        OUTPUT_PROJECTION,
    ],
};

pub(super) const LSTM: Table = Table {
    name: "model.cell.lstm",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"lstm\"`",
            default: Default::Needed,
            meaning: "PyTorch's LSTM.",
            example: "\"lstm\"",
        },
        EXPANSION,
        BIAS,
        INITIAL_STATE,
        OUTPUT_PROJECTION,
    ],
};
