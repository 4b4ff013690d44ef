//! Flags of `export` that would change nothing in what is written: each is refused by name, before any work.
//!
//! One table of rules. A flag counts as given also with the value that it has by default: whoever writes it means something by it.

use anyhow::{Result, bail};
use minrnn_model::graph::{Graph, Input};
use minrnn_onnx::export::{Form, Lowering};

use super::choice::Choice;
use crate::config::set_keys;
use crate::given::{Given, flag};

/// Where a flag has no use.
struct Rule {
    /// Name of its argument.
    flag: &'static str,
    /// Why it has no use with that choice; none where it has one.
    why: fn(&Choice) -> Option<String>,
    /// What would mend it, beside leaving the flag out.
    mend: &'static str,
}

const SEQUENCE: &str = "write a form that takes sequences (--form all, parallel or scan)";
const PARALLEL: &str = "write the form parallel (--form all or parallel)";

static RULES: &[Rule] = &[
    Rule {
        flag: "seq_len",
        why: |c| no_sequences(c).then(|| "the form step takes one step a call and has no T".into()),
        mend: SEQUENCE,
    },
    Rule {
        flag: "lengths",
        why: |c| {
            no_sequences(c).then(|| {
                "the form step takes one step a call, and rows of it have no lengths".into()
            })
        },
        mend: SEQUENCE,
    },
    Rule {
        flag: "lowering",
        why: |c| {
            // Of some models it makes the form step too.
            let steps = c.lowering == Lowering::LinearAttention && c.has(Form::Step);
            (no_parallel(c) && !steps).then(|| only_parallel(c, "is lowered so"))
        },
        mend: PARALLEL,
    },
    Rule {
        flag: "block",
        why: |c| no_parallel(c).then(|| only_parallel(c, "has blocks")),
        mend: PARALLEL,
    },
    Rule {
        flag: "block",
        why: |c| {
            let blocks = matches!(c.lowering, Lowering::Blocked | Lowering::BlockedScan);
            (!blocks).then(|| format!("the lowering {} has no blocks to choose", c.lowering.name()))
        },
        mend: "choose --lowering blocked or blocked-scan",
    },
    Rule {
        flag: "max_seq_len",
        why: |c| no_parallel(c).then(|| only_parallel(c, "has a longest T")),
        mend: PARALLEL,
    },
    Rule {
        flag: "max_seq_len",
        why: |c| c.seq_len.map(|t| format!("--seq-len {t} fixes T")),
        mend: "leave --seq-len out",
    },
    Rule {
        flag: "max_seq_len",
        why: |c| {
            let any = matches!(
                c.lowering,
                Lowering::BlockedScan | Lowering::LinearAttention
            );
            any.then(|| format!("the lowering {} takes any T", c.lowering.name()))
        },
        mend: "choose another --lowering",
    },
    Rule {
        flag: "activations",
        why: |c| {
            (c.dtype != "int8")
                .then(|| format!("weights of {} leave activations as they are", c.dtype))
        },
        mend: "choose --dtype int8",
    },
];

fn no_sequences(c: &Choice) -> bool {
    c.forms == [Form::Step]
}

fn no_parallel(c: &Choice) -> bool {
    !c.has(Form::Parallel)
}

fn only_parallel(c: &Choice, what: &str) -> String {
    let forms: Vec<&str> = c.forms.iter().map(|f| f.name()).collect();
    format!(
        "only the form parallel {what}, and what is written is {}",
        forms.join(" and ")
    )
}

/// Refuses the first flag that has no use.
///
/// # Errors
/// Its name, why it has none, and what would mend it.
pub(super) fn refuse(given: &Given, choice: &Choice) -> Result<()> {
    for rule in RULES.iter().filter(|r| given.has(r.flag)) {
        if let Some(why) = (rule.why)(choice) {
            bail!(
                "{} would change nothing: {why}; leave it out, or {}",
                flag(rule.flag),
                rule.mend
            );
        }
    }
    Ok(())
}

/// The same for flags of which the model decides.
///
/// # Errors
/// As [`refuse`].
pub(super) fn refuse_for(given: &Given, graph: &Graph, choice: &Choice) -> Result<()> {
    if given.has("lowering") && no_parallel(choice) && !choice.steps {
        let why = only_parallel(choice, "of this model is lowered so");
        bail!("--lowering would change nothing: {why}; leave it out, or {PARALLEL}");
    }
    if let Some(longest) = graph.longest().filter(|_| given.has("max_seq_len"))
        && choice.max_seq_len > longest
    {
        bail!(
            "--max-seq-len {} would change nothing: the model takes {longest} steps; leave it out, or choose at most as many",
            choice.max_seq_len
        );
    }
    match graph.input() {
        Input::Features { .. } if given.has("end_of_stream") => bail!(
            "--end-of-stream would change nothing: the model takes features, and no token ends them; leave it out"
        ),
        _ => Ok(()),
    }
}

/// The same for values that `--set` replaces: of a configuration, measuring reads the data and what cuts them. The seed of a training
/// orders its training part, which scales are calibrated on; no validation part depends on it. `own`: it is the checkpoint's own
/// configuration; `calibrates`: scales are fixed. What is no TOML is told of by its reader.
///
/// # Errors
/// As [`refuse`].
pub(super) fn refuse_sets(sets: &[String], own: bool, calibrates: bool) -> Result<()> {
    let keys = set_keys(sets);
    let used = |key: &str| match key.split_once('.').unwrap_or((key, "")) {
        ("train", what) => what == "seed" && calibrates,
        // Held against the checkpoint, but for what only training uses.
        ("model", what) => !own && what != "dropout",
        _ => true,
    };
    match keys.iter().find(|key| !used(key)) {
        Some(key) if key == "train.seed" => bail!(
            "--set train.seed would change nothing: the validation part is the same for all seeds, and only --activations static is calibrated on the training part; leave it out"
        ),
        Some(key) => bail!(
            "--set {key} would change nothing: of a configuration, --eval reads [task], and the model is the checkpoint's; leave it out"
        ),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
