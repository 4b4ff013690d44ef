//! `[train]` and the optimizer.

use super::{Default, Key, Table};

pub(super) const TRAIN: Table = Table {
    name: "train",
    keys: &[
        Key {
            name: "steps",
            kind: "whole number",
            default: Default::Needed,
            meaning: "Optimizer steps in all.",
            example: "2000",
        },
        Key {
            name: "batch",
            kind: "whole number",
            default: Default::Needed,
            meaning: "B, sequences of a step.",
            example: "16",
        },
        Key {
            name: "accumulate",
            kind: "whole number",
            default: Default::Is("1"),
            meaning: "Parts that a step's batch is computed in, one after the other, as if at once but for rounding (and dropout, whose masks are others): with less memory, not faster.",
            example: "4",
        },
        Key {
            name: "carry_state",
            kind: "true or false",
            default: Default::Is("false"),
            meaning: "Texts, and sequences with `task.seq_len`: the training part is read as `batch` streams side by side, each step beginning with the states that the last one ended with, in the place of windows from anywhere; [when](training.md#states-carried-along-long-streams).",
            example: "true",
        },
        Key {
            name: "lr",
            kind: "number",
            default: Default::Needed,
            meaning: "Highest learning rate.",
            example: "3e-3",
        },
        Key {
            name: "min_lr",
            kind: "number",
            default: Default::Is("0.0"),
            meaning: "Learning rate at the end of the cosine.",
            example: "3e-4",
        },
        Key {
            name: "warmup_steps",
            kind: "whole number",
            default: Default::Is("0"),
            meaning: "Steps in which the learning rate rises to `lr`.",
            example: "100",
        },
        Key {
            name: "decay",
            kind: "`\"cosine\"` or `\"constant\"`",
            default: Default::Is("\"cosine\""),
            meaning: "How the learning rate goes on after that: half a cosine to `min_lr`, or as it is.",
            example: "\"constant\"",
        },
        Key {
            name: "seed",
            kind: "whole number",
            default: Default::Is("0"),
            meaning: "Seed of first weights, order of the data and dropout.",
            example: "1",
        },
        Key {
            name: "optimizer",
            kind: "table, or `\"adamw\"` or `\"muon\"`",
            default: Default::Words("AdamW"),
            meaning: "Options of AdamW, and Muon beside it; see `[train.optimizer]`.",
            example: "{ clip_norm = 1.0 }",
        },
        Key {
            name: "loss",
            kind: "table, or `\"cross_entropy\"`, `\"mse\"`, `\"mae\"` or `\"huber\"`",
            default: Default::Words("cross-entropy, or the mean square"),
            meaning: "What a step makes small; see `[train.loss]`.",
            example: "{ label_smoothing = 0.1 }",
        },
        Key {
            name: "average",
            kind: "table",
            default: Default::Words("none"),
            meaning: "An average of the weights, which is evaluated and kept in their place; see `[train.average]`.",
            example: "{ decay = 0.999 }",
        },
        Key {
            name: "engine",
            kind: "`\"auto\"`, `\"tape\"` or `\"candle\"`",
            default: Default::Is("\"auto\""),
            meaning: "What computes the steps: the tape (a plan of fused kernels over one arena; on a GPU one captured graph of them) where it knows all of the model, else candle.",
            example: "\"candle\"",
        },
        Key {
            name: "precision",
            kind: "`\"f32\"`, `\"tf32\"`, `\"bf16\"` or `\"f16\"`",
            default: Default::Is("\"f32\""),
            meaning: "In which precision the tape computes; the CPU and candle have f32.",
            example: "\"bf16\"",
        },
        Key {
            name: "loss_scale",
            kind: "table",
            default: Default::Words("65536, which moves"),
            meaning: "precision = \"f16\": what the loss is multiplied by, so that small gradients are not 0; see `[train.loss_scale]`.",
            example: "{ initial = 1024.0 }",
        },
        Key {
            name: "tuned",
            kind: "true or false",
            default: Default::Is("false"),
            meaning: "Whether the tape's matrix products are chosen by time; two runs may differ in their last bits then.",
            example: "true",
        },
        Key {
            name: "eval_every",
            kind: "whole number",
            default: Default::Is("0"),
            meaning: "Steps between evaluations on the validation part; 0: one at the end.",
            example: "250",
        },
        Key {
            name: "eval_samples",
            kind: "whole number",
            default: Default::Is("0"),
            meaning: "Windows of an evaluation on the way; 0: all. The last evaluation has all.",
            example: "64",
        },
        Key {
            name: "stop_at_accuracy",
            kind: "number",
            default: Default::Words("never"),
            meaning: "Classes: the run ends once an evaluation's accuracy reaches this.",
            example: "0.99",
        },
        Key {
            name: "patience",
            kind: "whole number",
            default: Default::Words("never"),
            meaning: "The run ends once so many evaluations in a row were not better than the best before them.",
            example: "5",
        },
        Key {
            name: "on_nan",
            kind: "`\"stop\"` or `\"roll_back\"`",
            default: Default::Is("\"stop\""),
            meaning: "Once a loss or a gradient is not finite: end with an error, or [go back](training.md#a-loss-that-is-not-finite) and on with a lower learning rate.",
            example: "\"roll_back\"",
        },
        Key {
            name: "roll_back_factor",
            kind: "number",
            default: Default::Words("0.5"),
            meaning: "What the learning rate is multiplied by each time, from there on.",
            example: "0.1",
        },
        Key {
            name: "roll_back_times",
            kind: "whole number",
            default: Default::Words("3"),
            meaning: "How often a run rolls back at most; then it ends with the error.",
            example: "5",
        },
    ],
};

pub(super) const OPTIMIZER: Table = Table {
    name: "train.optimizer",
    keys: &[
        Key {
            name: "clip_norm",
            kind: "number",
            default: Default::Words("no clipping"),
            meaning: "The gradient of all parameters together is scaled down to this norm where it is longer.",
            example: "1.0",
        },
        Key {
            name: "weight_decay",
            kind: "number",
            default: Default::Is("0.01"),
            meaning: "Decay of matrices, times the learning rate.",
            example: "0.1",
        },
        Key {
            name: "beta1",
            kind: "number",
            default: Default::Is("0.9"),
            meaning: "Memory of the mean gradient.",
            example: "0.95",
        },
        Key {
            name: "beta2",
            kind: "number",
            default: Default::Is("0.999"),
            meaning: "Memory of the mean squared gradient.",
            example: "0.99",
        },
        Key {
            name: "eps",
            kind: "number",
            default: Default::Is("1e-8"),
            meaning: "Added to the root of the second moment.",
            example: "1e-6",
        },
        Key {
            name: "muon",
            kind: "table",
            default: Default::Words("AdamW trains all"),
            meaning: "Where it stands, Muon trains the matrices of hidden layers (not embeddings, the first map of features, the head, taps of convolutions, gains or biases) and AdamW the rest; see `[train.optimizer.muon]`.",
            example: "{ lr = 0.02 }",
        },
    ],
};

pub(super) const MUON: Table = Table {
    name: "train.optimizer.muon",
    keys: &[
        Key {
            name: "lr",
            kind: "number",
            default: Default::Words("`train.lr`"),
            meaning: "Highest learning rate of the matrices; it rises and falls as `train.lr` does. Steps have the length of AdamW's, so that its rate is a good one.",
            example: "5e-3",
        },
        Key {
            name: "weight_decay",
            kind: "number",
            default: Default::Words("`train.optimizer.weight_decay`"),
            meaning: "Decay of the matrices, times their learning rate.",
            example: "0.1",
        },
        Key {
            name: "momentum",
            kind: "number",
            default: Default::Words("0.95"),
            meaning: "Memory of the mean gradient.",
            example: "0.9",
        },
    ],
};

pub(super) const LOSS: Table = Table {
    name: "train.loss",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"cross_entropy\"`, `\"mse\"`, `\"mae\"` or `\"huber\"`",
            default: Default::Words("of the task"),
            meaning: "Cross-entropy is of classes, the others are of values: the squared error, its size, or both by `delta`.",
            example: "\"huber\"",
        },
        Key {
            name: "label_smoothing",
            kind: "number",
            default: Default::Is("0.0"),
            meaning: "Cross-entropy: this part of each target is spread evenly over all classes.",
            example: "0.1",
        },
        Key {
            name: "class_weights",
            kind: "list of numbers",
            default: Default::Words("all equal"),
            meaning: "Cross-entropy: what a target of each class weighs, in the order of their numbers; the loss is the weighted mean.",
            example: "[1.0, 5.0]",
        },
        Key {
            name: "delta",
            kind: "number",
            default: Default::Words("1"),
            meaning: "huber: errors up to this are squared, larger ones count by their size. In standard deviations, where targets are normalised.",
            example: "0.5",
        },
    ],
};

pub(super) const LOSS_SCALE: Table = Table {
    name: "train.loss_scale",
    keys: &[
        Key {
            name: "initial",
            kind: "number",
            default: Default::Words("65536"),
            meaning: "Factor of the first step, a power of two from 1 to 2^40. Halved where a gradient is not finite, which leaves the step out.",
            example: "1024.0",
        },
        Key {
            name: "growth_interval",
            kind: "whole number",
            default: Default::Words("2000"),
            meaning: "Steps in a row without such a gradient after which the factor is doubled.",
            example: "500",
        },
        Key {
            name: "fixed",
            kind: "number",
            default: Default::Words("one that moves"),
            meaning: "Factor of all steps, in the place of both: no step is left out, and a gradient that is not finite ends the run.",
            example: "1024.0",
        },
    ],
};

pub(super) const AVERAGE: Table = Table {
    name: "train.average",
    keys: &[
        Key {
            name: "kind",
            kind: "`\"ema\"` or `\"tail\"`",
            default: Default::Words("`\"ema\"`"),
            meaning: "Exponential average, in which older weights count less and less, or the mean of all from a step on.",
            example: "\"ema\"",
        },
        Key {
            name: "decay",
            kind: "number",
            default: Default::Words("0.999"),
            meaning: "ema: what is left of the average after each step. Before there are many steps, it is the mean of all.",
            example: "0.99",
        },
        Key {
            name: "from",
            kind: "whole number",
            default: Default::Words("needed with `tail`"),
            meaning: "tail: the step behind which the mean begins; before it, the weights are as they are.",
            example: "1500",
        },
    ],
};
