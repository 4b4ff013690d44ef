//! Keys of Hyena.

use super::diagonal::{BIAS, EXPANSION};
use super::{Default, Key, Table};

pub(super) const HYENA: Table = Table {
    name: "model.cell.hyena",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"hyena\"`",
            default: Default::Needed,
            meaning: "Hyena, a convolution as long as the sequence.",
            example: "\"hyena\"",
        },
        EXPANSION,
        Key {
            name: "longest",
            kind: "whole number",
            default: Default::Is("1024"),
            meaning: "Steps of the longest sequence, and taps of the filter: a longer sequence is refused.",
            example: "512",
        },
        Key {
            name: "filter_width",
            kind: "whole number",
            default: Default::Is("64"),
            meaning: "Channels of the network that makes the filter.",
            example: "32",
        },
        BIAS,
    ],
};
