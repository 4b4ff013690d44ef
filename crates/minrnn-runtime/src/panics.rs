//! Panics that become errors, of engines and of readers.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// How many of [`catch`] this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Counts one call of [`catch`] while it lives.
struct Within;

impl Within {
    fn enter() -> Self {
        DEPTH.with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}

/// Runs `f`. `f` must leave nothing half made that is used again.
///
/// # Errors
/// What it panicked with.
pub fn catch<T>(f: impl FnOnce() -> T) -> std::thread::Result<T> {
    let _within = Within::enter();
    catch_unwind(AssertUnwindSafe(f))
}

/// Whether a panic of this thread becomes an error: the panic hook of a program may be silent of it.
pub fn are_caught() -> bool {
    DEPTH.with(|depth| depth.get() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_where_panics_are_caught() {
        assert!(!are_caught());
        let said = catch(|| {
            assert!(are_caught());
            let inner = catch(|| panic!("within"));
            assert!(inner.is_err() && are_caught());
            panic!("without")
        });
        let said: Result<(), _> = said;
        assert!(said.is_err() && !are_caught());
    }
}
