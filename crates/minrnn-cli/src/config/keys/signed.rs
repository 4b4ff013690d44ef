//! `[model.cell]` of the signed minGRU.

use super::{Default, Key, Table};

pub(super) const SIGNED: Table = Table {
    name: "model.cell.signed_min_gru",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"signed_min_gru\"`",
            default: Default::Needed,
            meaning: "minGRU whose channels can turn their sign.",
            example: "\"signed_min_gru\"",
        },
        Key {
            name: "expansion",
            kind: "number",
            default: Default::Is("1.0"),
            meaning: "D / M: the state has D channels.",
            example: "2.0",
        },
        Key {
            name: "bias",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "Whether the linear maps of the cell have a bias.",
            example: "false",
        },
        Key {
            name: "time_scale",
            kind: "two numbers",
            default: Default::Words("gates forget at once"),
            meaning: "Shortest and longest time, in steps, that gates remember at first, all of them keeping their sign.",
            example: "[1, 64]",
        },
        Key {
            name: "initial_state",
            kind: "`\"zero\"` or `\"learned\"`",
            default: Default::Is("\"learned\""),
            meaning: "Where the state begins; a learned one is 1 at first.",
            example: "\"zero\"",
        },
        Key {
            name: "output_projection",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "Whether a linear map leads from D back to M; needed where D is not M.",
            example: "true",
        },
    ],
};
