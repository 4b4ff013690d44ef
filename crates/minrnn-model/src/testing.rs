//! For the tests of this workspace.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Checks each case, to the last, and panics at the end with the names of all that failed; what each said stands before.
///
/// # Panics
/// Where a check panicked, and where there are no cases: a table that lost its rows must not pass.
#[track_caller]
pub fn test_each<N: Display, C>(
    cases: impl IntoIterator<Item = (N, C)>,
    mut check: impl FnMut(&str, C),
) {
    let (mut all, mut failed) = (0, vec![]);
    for (name, case) in cases {
        let name = name.to_string();
        all += 1;
        if catch_unwind(AssertUnwindSafe(|| check(&name, case))).is_err() {
            failed.push(name);
        }
    }
    assert!(all > 0, "there are no cases");
    assert!(
        failed.is_empty(),
        "{} of {all} cases failed: {}",
        failed.len(),
        failed.join(", ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(run: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("must panic");
        panic.downcast_ref::<String>().cloned().unwrap_or_default()
    }

    #[test]
    fn all_failing_cases_are_named_and_the_others_run() {
        let mut seen = vec![];
        let said = message(|| {
            test_each([("a", 1), ("b", 2), ("c", 3)], |_, n| {
                seen.push(n);
                assert!(n == 2, "odd");
            });
        });
        assert_eq!(said, "2 of 3 cases failed: a, c");
        assert_eq!(seen, [1, 2, 3]);
        test_each([("a", 1)], |name, n| assert_eq!((name, n), ("a", 1)));
    }

    #[test]
    fn no_cases_are_a_failure() {
        let none: [(&str, ()); 0] = [];
        let panic = catch_unwind(|| test_each(none, |_, ()| ())).expect_err("must panic");
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"there are no cases"));
    }
}
