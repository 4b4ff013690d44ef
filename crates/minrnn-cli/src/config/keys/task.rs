//! `[task]`, by its kind.

use super::{Default, Key, Table};

pub(super) const TEXT: Table = Table {
    name: "task.text",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"text\"`",
            default: Default::Needed,
            meaning: "The next character of a text.",
            example: "\"text\"",
        },
        Key {
            name: "path",
            kind: "text",
            default: Default::Needed,
            meaning: "The file, UTF-8; a relative path is relative to the current folder.",
            example: "\"book.txt\"",
        },
        Key {
            name: "seq_len",
            kind: "whole number",
            default: Default::Needed,
            meaning: "T, characters of a window.",
            example: "128",
        },
        Key {
            name: "validation_fraction",
            kind: "number",
            default: Default::Is("0.1"),
            meaning: "The end of the file that is kept for validation; more than 0 and less than 1.",
            example: "0.05",
        },
        Key {
            name: "from_disk",
            kind: "true or false",
            default: Default::Is("false"),
            meaning: "Whether pieces of the file are read as they are needed: for [files larger than the memory](training.md#memory).",
            example: "true",
        },
    ],
};

pub(super) const SEQUENCES: Table = Table {
    name: "task.sequences",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"sequences\"`",
            default: Default::Needed,
            meaning: "Labels of feature sequences.",
            example: "\"sequences\"",
        },
        Key {
            name: "path",
            kind: "text",
            default: Default::Needed,
            meaning: "A `.csv` with a row a step; an `.npz` or `.safetensors` with `x` (or `features`), `y` (or `labels`, `targets`) and `lengths`; or an `.npy` of the features `[N, T, F]`.",
            example: "\"pump.csv\"",
        },
        Key {
            name: "id_column",
            kind: "text",
            default: Default::Words("needed with `.csv`"),
            meaning: "CSV: the column that tells which sequence a row belongs to; rows of a sequence follow each other.",
            example: "\"run\"",
        },
        Key {
            name: "feature_columns",
            kind: "list of texts",
            default: Default::Words("needed with `.csv`"),
            meaning: "CSV: the columns of the features, in the order in which the model takes them.",
            example: "[\"flow\", \"pressure\"]",
        },
        Key {
            name: "target_columns",
            kind: "list of texts",
            default: Default::Words("needed with `.csv`"),
            meaning: "CSV: the column of the class, or the columns of the values that are predicted.",
            example: "[\"level\"]",
        },
        Key {
            name: "ignore_columns",
            kind: "list of texts",
            default: Default::Words("none"),
            meaning: "CSV: columns that nothing uses; what is neither used nor named here is refused. `[\"*\"]`: all others.",
            example: "[\"time\"]",
        },
        Key {
            name: "target",
            kind: "`\"classes\"` or `\"values\"`",
            default: Default::Needed,
            meaning: "Whether labels are classes (0, 1, 2, .. or texts, numbered in sorted order) or real numbers.",
            example: "\"values\"",
        },
        Key {
            name: "per",
            kind: "`\"step\"` or `\"sequence\"`",
            default: Default::Needed,
            meaning: "Whether there is a label for each step or one for each sequence.",
            example: "\"step\"",
        },
        Key {
            name: "labels_path",
            kind: "text",
            default: Default::Words("needed with `.npy`"),
            meaning: "npy: the file of the labels.",
            example: "\"labels.npy\"",
        },
        Key {
            name: "lengths_path",
            kind: "text",
            default: Default::Words("all T"),
            meaning: "npy: the file of the lengths, integers `[N]`; older name: `lens_path`.",
            example: "\"lengths.npy\"",
        },
        Key {
            name: "ignore_arrays",
            kind: "list of texts",
            default: Default::Words("none"),
            meaning: "npz and safetensors: arrays that nothing uses; what is neither used nor named here is refused. `[\"*\"]`: all others.",
            example: "[\"clock\"]",
        },
        Key {
            name: "classes",
            kind: "whole number",
            default: Default::Words("the largest label plus 1"),
            meaning: "Classes: how many there are, where labels are numbers.",
            example: "4",
        },
        Key {
            name: "class_names",
            kind: "list of texts",
            default: Default::Words("the labels, sorted, if they are texts"),
            meaning: "Classes: their names, in the order of their numbers.",
            example: "[\"calm\", \"storm\"]",
        },
        Key {
            name: "normalize_targets",
            kind: "true or false",
            default: Default::Words("`true`"),
            meaning: "Values: the model computes in standard deviations from their mean; what comes out is in the units of the data either way.",
            example: "false",
        },
        Key {
            name: "validation_fraction",
            kind: "number",
            default: Default::Is("0.1"),
            meaning: "The part of the sequences that is kept for validation, by which `best` is chosen; 0: none.",
            example: "0.2",
        },
        Key {
            name: "test_fraction",
            kind: "number",
            default: Default::Is("0.0"),
            meaning: "The part of the sequences that is kept for `minrnn eval`: no training and no choice of `best` sees it.",
            example: "0.1",
        },
        Key {
            name: "split_seed",
            kind: "whole number",
            default: Default::Is("0"),
            meaning: "Decides which sequences go into which part.",
            example: "1",
        },
    ],
};

pub(super) const SELECTIVE_COPYING: Table = Table {
    name: "task.selective_copying",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"selective_copying\"`",
            default: Default::Needed,
            meaning: "Data tokens among noise, to be said in their order at the end (arXiv 2410.01201).",
            example: "\"selective_copying\"",
        },
        Key {
            name: "length",
            kind: "whole number",
            default: Default::Is("4096"),
            meaning: "Tokens before the markers; the input has `length + data_tokens` steps.",
            example: "256",
        },
        Key {
            name: "data_tokens",
            kind: "whole number",
            default: Default::Is("16"),
            meaning: "Tokens to remember.",
            example: "8",
        },
        Key {
            name: "vocab",
            kind: "whole number",
            default: Default::Is("16"),
            meaning: "Different tokens: 0 is the marker, the last the noise, those between are data.",
            example: "10",
        },
        Key {
            name: "eval_samples",
            kind: "whole number",
            default: Default::Is("1024"),
            meaning: "Samples of the validation part, and of the test part.",
            example: "256",
        },
    ],
};
