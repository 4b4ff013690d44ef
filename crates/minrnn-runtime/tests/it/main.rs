//! Files made here, run by the crate, and held against plain loops.

#![allow(missing_docs, unreachable_pub, reason = "test code, one binary")]

mod exactness;
mod support;
