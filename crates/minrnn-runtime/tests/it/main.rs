//! Files made here, run by the crate, and held against plain loops.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "test code, one binary"
)]

mod any;
mod breaches;
mod exactness;
mod external;
mod formulas;
mod graph_mutants;
mod inputs;
mod limits;
mod mutants;
mod recurrences;
mod sessions;
mod subprocess;
mod support;
