//! Cross-crate tests.
mod golden;
mod invariants;
