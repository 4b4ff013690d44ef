//! `[model]` and the tables in it.

use super::{Default, Key, Table};

pub(super) const MODEL: Table = Table {
    name: "model",
    keys: &[
        Key {
            name: "width",
            kind: "whole number",
            default: Default::Needed,
            meaning: "M, channels between the blocks.",
            example: "128",
        },
        Key {
            name: "layers",
            kind: "whole number",
            default: Default::Needed,
            meaning: "L, blocks one above the other.",
            example: "3",
        },
        Key {
            name: "cell",
            kind: "table",
            default: Default::Words("a minGRU"),
            meaning: "What mixes over time; see `[model.cell]`.",
            example: "{ kind = \"min_gru\", expansion = 2.0 }",
        },
        Key {
            name: "block",
            kind: "table, `\"plain\"` or `\"mamba\"`",
            default: Default::Is("\"plain\""),
            meaning: "What stands around the cell; see `[model.block]`.",
            example: "\"mamba\"",
        },
        Key {
            name: "norm",
            kind: "`\"rms\"`, `\"layer\"` or `\"none\"`",
            default: Default::Is("\"rms\""),
            meaning: "Norm before each part of a block and before the head.",
            example: "\"layer\"",
        },
        Key {
            name: "norm_eps",
            kind: "number",
            default: Default::Is("1e-5"),
            meaning: "Added under the root of the norms.",
            example: "1e-6",
        },
        Key {
            name: "conv",
            kind: "table",
            default: Default::Words("none"),
            meaning: "Causal convolution before the cell; see `[model.conv]`.",
            example: "{ kernel = 4 }",
        },
        Key {
            name: "mlp",
            kind: "table",
            default: Default::Words("none"),
            meaning: "Feed-forward layer behind the cell; see `[model.mlp]`.",
            example: "{ expansion = 2.0, activation = \"gelu\" }",
        },
        Key {
            name: "residual",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "Whether each part of a block is added to its input.",
            example: "false",
        },
        Key {
            name: "dropout",
            kind: "number",
            default: Default::Is("0.0"),
            meaning: "Probability with which a channel is left out in training, behind each part of a block and the embedding, and a weight of attention; [where it harms](training.md#validation-far-above-training).",
            example: "0.1",
        },
        Key {
            name: "positions",
            kind: "whole number",
            default: Default::Words("none"),
            meaning: "Rows of a learned table of positions, which is added to what goes in. A sequence of more steps is an error.",
            example: "256",
        },
        Key {
            name: "init",
            kind: "`\"usual\"` or `\"gpt2\"`",
            default: Default::Is("\"usual\""),
            meaning: "How matrices begin: as each layer has it, or all normal with deviation 0.02, those that end a part of a block with that over the root of the number of parts.",
            example: "\"gpt2\"",
        },
        Key {
            name: "input",
            kind: "table",
            default: Default::Words("of the task"),
            meaning: "What goes in; see `[model.input]`.",
            example: "{ names = [\"flow\", \"pressure\"] }",
        },
        Key {
            name: "head",
            kind: "table",
            default: Default::Words("of the task"),
            meaning: "What comes out; see `[model.head]`.",
            example: "{ bias = true }",
        },
    ],
};

pub(super) const CELL: Table = Table {
    name: "model.cell",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"min_gru\"` or `\"min_lstm\"`",
            default: Default::Is("\"min_gru\""),
            meaning: "Which cell; other kinds have other keys.",
            example: "\"min_lstm\"",
        },
        Key {
            name: "expansion",
            kind: "number",
            default: Default::Is("1.0"),
            meaning: "D / M: the state has D channels.",
            example: "2.0",
        },
        Key {
            name: "candidate",
            kind: "`\"g\"` or `\"linear\"`",
            default: Default::Is("\"g\""),
            meaning: "Activation of the candidate: the paper's `g` (its appendix B), or none (appendix A).",
            example: "\"linear\"",
        },
        Key {
            name: "normalize_gates",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "minLSTM: whether its two gates are divided by their sum.",
            example: "true",
        },
        Key {
            name: "bias",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "Whether the linear maps of the cell have a bias.",
            example: "true",
        },
        Key {
            name: "time_scale",
            kind: "two numbers",
            default: Default::Words("gates begin half open"),
            meaning: "Shortest and longest time, in steps, that gates remember at first.",
            example: "[1, 64]",
        },
        Key {
            name: "initial_state",
            kind: "`\"zero\"` or `\"learned\"`",
            default: Default::Is("\"zero\""),
            meaning: "Where the state begins.",
            example: "\"learned\"",
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

pub(super) const CONV: Table = Table {
    name: "model.conv",
    keys: &[
        Key {
            name: "kernel",
            kind: "whole number",
            default: Default::Needed,
            meaning: "Steps that the convolution sees, this one and those before.",
            example: "4",
        },
        Key {
            name: "pointwise",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "Whether a linear map over the channels follows.",
            example: "false",
        },
        Key {
            name: "bias",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "Whether both have a bias.",
            example: "false",
        },
        Key {
            name: "norm",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "Whether the model's norm comes before it.",
            example: "false",
        },
    ],
};

pub(super) const MLP: Table = Table {
    name: "model.mlp",
    keys: &[
        Key {
            name: "expansion",
            kind: "number",
            default: Default::Is("4.0"),
            meaning: "Inner channels / M.",
            example: "2.0",
        },
        Key {
            name: "activation",
            kind: "`\"gelu\"`, `\"gelu_tanh\"` or `\"silu\"`",
            default: Default::Is("\"gelu\""),
            meaning: "The activation.",
            example: "\"silu\"",
        },
        Key {
            name: "gated",
            kind: "true or false",
            default: Default::Is("false"),
            meaning: "Whether a second linear map multiplies the activated one.",
            example: "true",
        },
        Key {
            name: "bias",
            kind: "true or false",
            default: Default::Is("true"),
            meaning: "Whether the linear maps have a bias.",
            example: "false",
        },
    ],
};

pub(super) const INPUT: Table = Table {
    name: "model.input",
    keys: &[
        Key {
            name: "vocab",
            kind: "whole number",
            default: Default::Words("of the task"),
            meaning: "V, tokens; stated, it is held against the task.",
            example: "65",
        },
        Key {
            name: "features",
            kind: "whole number",
            default: Default::Words("of the task"),
            meaning: "F, features a step; stated, it is held against the task.",
            example: "2",
        },
        Key {
            name: "names",
            kind: "list of texts",
            default: Default::Words("the columns of a CSV"),
            meaning: "Names of the features, in order, where the file has none.",
            example: "[\"flow\", \"pressure\"]",
        },
        Key {
            name: "mean",
            kind: "list of numbers",
            default: Default::Words("of the training part"),
            meaning: "Mean of each feature, subtracted first.",
            example: "[0.0, 1.5]",
        },
        Key {
            name: "std",
            kind: "list of numbers",
            default: Default::Words("of the training part"),
            meaning: "Standard deviation of each feature, divided by.",
            example: "[1.0, 2.0]",
        },
    ],
};

pub(super) const HEAD: Table = Table {
    name: "model.head",
    keys: &[
        Key {
            name: "width",
            kind: "whole number",
            default: Default::Words("of the task"),
            meaning: "C, classes or values; stated, it is held against the task.",
            example: "3",
        },
        Key {
            name: "kind",
            kind: "`\"logits\"` or `\"values\"`",
            default: Default::Words("of the task"),
            meaning: "What comes out; stated, it is held against the task.",
            example: "\"logits\"",
        },
        Key {
            name: "steps",
            kind: "`\"every\"` or `\"last\"`",
            default: Default::Words("of the task"),
            meaning: "An output for each step, or one for each sequence; stated, it is held against the task.",
            example: "\"every\"",
        },
        Key {
            name: "bias",
            kind: "true or false",
            default: Default::Is("false"),
            meaning: "Whether the head has a bias.",
            example: "true",
        },
        Key {
            name: "tied",
            kind: "true or false",
            default: Default::Is("false"),
            meaning: "Whether the head's matrix is the table of embeddings: tokens in, as many classes out.",
            example: "true",
        },
        Key {
            name: "names",
            kind: "list of texts",
            default: Default::Words("those of the data"),
            meaning: "Names of the classes or values, in order, where the file has none.",
            example: "[\"calm\", \"storm\"]",
        },
        Key {
            name: "mean",
            kind: "list of numbers",
            default: Default::Words("of the training part"),
            meaning: "Values: mean of each, added last.",
            example: "[20.0]",
        },
        Key {
            name: "std",
            kind: "list of numbers",
            default: Default::Words("of the training part"),
            meaning: "Values: standard deviation of each, multiplied by before the mean is added.",
            example: "[4.0]",
        },
    ],
};
