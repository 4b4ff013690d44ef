//! Files made here, run by the crate, and held against plain loops.

#![cfg_attr(
    not(feature = "tract"),
    allow(unused_imports, reason = "some tests need tract")
)]
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "test code, one binary"
)]

#[cfg(feature = "tract")]
mod any;
mod breaches;
mod defects;
mod exactness;
mod external;
mod formulas;
mod graph_mutants;
mod inputs;
#[cfg(not(feature = "tract"))]
mod lean;
mod limits;
mod mutants;
mod operators;
mod recurrences;
mod sessions;
mod subprocess;
mod support;
