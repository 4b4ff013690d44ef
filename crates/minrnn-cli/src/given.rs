//! Which flags the command line gives: a flag that is left out has its default, so that its value does not tell.

use std::collections::BTreeSet;

use clap::ArgMatches;
use clap::parser::ValueSource;

/// Names of the arguments that were given to the command, as in its struct: `max_seq_len` for `--max-seq-len`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Given(BTreeSet<String>);

impl Given {
    /// Those of the innermost command.
    pub(crate) fn of(matches: &ArgMatches) -> Self {
        let mut inner = matches;
        while let Some((_, next)) = inner.subcommand() {
            inner = next;
        }
        let given = |name: &&str| inner.value_source(name) == Some(ValueSource::CommandLine);
        let names = inner.ids().map(clap::Id::as_str).filter(given);
        Self(names.map(str::to_owned).collect())
    }

    /// Whether `name` was given, also with the value that it has by default.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

#[cfg(test)]
impl<const N: usize> From<[&str; N]> for Given {
    fn from(names: [&str; N]) -> Self {
        Self(names.map(str::to_owned).into())
    }
}

/// The flag of an argument.
pub(crate) fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Args;

    fn given(line: &str) -> Given {
        let matches = Args::command().try_get_matches_from(line.split(' '));
        Given::of(&matches.unwrap())
    }

    #[test]
    fn a_default_is_given_only_where_it_stands_there() {
        let line = "minrnn export run --out e --activations row --lengths";
        let all = given(line);
        for name in ["activations", "lengths", "out", "checkpoint"] {
            assert!(all.has(name), "{name}: {all:?}");
        }
        for name in ["reset", "block", "max_seq_len", "dtype"] {
            assert!(!all.has(name), "{name}: {all:?}");
        }
        assert!(given("minrnn bench infer --quick").has("quick"));
        assert_eq!(flag("max_seq_len"), "--max-seq-len");
    }
}
