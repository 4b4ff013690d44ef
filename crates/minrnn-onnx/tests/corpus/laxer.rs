//! Broken graphs that the checker of the standard takes, with the reason for which they are refused here.

/// Name of the case and reason.
pub(crate) const LAXER: &[(&str, &str)] = &[
    ("opset twice", "it takes one of the two"),
    ("opset twice under both names", "it takes one of the two"),
    (
        "metadata without a key",
        "it looks for keys given twice only",
    ),
    (
        "a node without a name",
        "the format allows it; here, messages and engines name nodes",
    ),
    (
        "an output twice",
        "it does not compare outputs with each other",
    ),
    (
        "a dimension with a dash",
        "the format only says that names should be identifiers; an engine reads the dash as minus",
    ),
    (
        "a negative dimension of an input",
        "it takes a number below zero for a dimension that is not stated",
    ),
    ("an output of another size", FOLLOW),
    ("an output of another named dimension", FOLLOW),
    (
        "an operator of a domain that is imported",
        "it passes over operators of other domains; here, nothing can be said of them",
    ),
    (
        "LayerNormalization along axis 2 of rank 2",
        "its inference stops at such an axis without a word",
    ),
    ("Range in steps of 0", "it does not look at the step"),
    (
        "GRU with the gates of an LSTM",
        "its inference does not look at the weights",
    ),
    (
        "LSTM whose c has another batch",
        "its inference does not look at the states",
    ),
    (
        "GRU in another direction",
        "it does not look at the values of attributes",
    ),
    (
        "ConstantOfShape filled by two",
        "it takes the type of the value and does not count it",
    ),
];

const FOLLOW: &str =
    "it does not follow shapes through reshapes, slices and named dimensions to this output";

/// The reason, if that checker takes the case of that name.
pub(crate) fn why(name: &str) -> Option<&'static str> {
    let found = LAXER.iter().find(|(n, _)| *n == name);
    found.map(|(_, why)| *why)
}
