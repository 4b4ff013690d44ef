//! `[model.cell]` of attention.

use super::{Default, Key, Table};

pub(super) const ATTENTION: Table = Table {
    name: "model.cell.attention",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"attention\"`",
            default: Default::Needed,
            meaning: "Causal attention over a window.",
            example: "\"attention\"",
        },
        Key {
            name: "heads",
            kind: "whole number",
            default: Default::Is("1"),
            meaning: "Heads, each with as many of the D channels.",
            example: "2",
        },
        Key {
            name: "window",
            kind: "whole number",
            default: Default::Words("`model.positions`"),
            meaning: "Steps that a step sees at most, itself among them: all but one are the state.",
            example: "64",
        },
        Key {
            name: "expansion",
            kind: "number",
            default: Default::Is("1.0"),
            meaning: "D / M: the cell has D channels.",
            example: "2.0",
        },
        Key {
            name: "bias",
            kind: "true or false",
            default: Default::Is("false"),
            meaning: "Plain block: whether the linear maps before and behind have a bias.",
            example: "true",
        },
    ],
};
