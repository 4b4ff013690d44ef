//! What speaks for an axis being time, or rows: names, operators, metadata.

use super::flow::{Flow, Meaning, Weight};
use super::{Dim, GraphFile, Port};

/// What speaks for a meaning of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hint {
    pub(super) meaning: Meaning,
    pub(super) weight: Weight,
    /// For messages, after "axis N ".
    pub(super) words: String,
    /// Whether a name alone says it.
    pub(super) named: bool,
}

/// Where time is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Time {
    Axis(usize),
    Nowhere,
    /// It may be any of these.
    Open(Vec<usize>),
}

/// Words that dimensions of time are called by; the single letters alone, not as parts of a name.
const TIME: &[&str] = &[
    "time",
    "times",
    "timestep",
    "timesteps",
    "seq",
    "seqlen",
    "sequence",
    "length",
    "len",
    "step",
    "steps",
    "frame",
    "frames",
    "token",
    "tokens",
];
const TIME_LETTERS: &[&str] = &["t", "l", "s"];
const ROWS: &[&str] = &["batch", "batches", "batchsize", "bs", "bsz", "row", "rows"];
const ROWS_LETTERS: &[&str] = &["b", "n"];

/// What the name of a dimension says. A name that speaks of both says nothing.
pub(super) fn named(name: &str) -> Option<Meaning> {
    let name = name.to_lowercase();
    let mut words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphabetic()).collect();
    words.retain(|w| !w.is_empty());
    let whole = |letters: &[&str]| letters.contains(&name.as_str());
    let any = |list: &[&str]| words.iter().any(|w| list.contains(w));
    let time = whole(TIME_LETTERS) || any(TIME);
    let rows = whole(ROWS_LETTERS) || any(ROWS);
    match (time, rows) {
        (true, false) => Some(Meaning::Time),
        (false, true) => Some(Meaning::Rows),
        _ => None,
    }
}

/// Whether `b` only follows an `a`: letters that count axes say nothing.
fn lettered(port: &Port, name: &str) -> bool {
    let is = |dim: &Dim| matches!(dim, Dim::Symbol(s) if s.eq_ignore_ascii_case("a"));
    name.eq_ignore_ascii_case("b") && port.dims.iter().flatten().any(is)
}

/// Whether a program made a name by counting: `s0`, `unk__12`, `dim_3`, `LSTMhn_dim_1`.
pub(super) fn counted(name: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let begins = ["s", "u", "unk", "dim", "d", "dyn", "dynamic_axes", ""];
    bare != name && (begins.contains(&bare.trim_end_matches('_')) || bare.ends_with("_dim_"))
}

/// What one file says about an axis of an input.
pub(super) fn hints(file: &GraphFile, flow: &Flow, port: &Port, axis: usize) -> Vec<Hint> {
    let mut all = vec![];
    let of = file.name();
    if let Some(Dim::Symbol(name)) = port.dims.as_ref().and_then(|d| d.get(axis))
        && !lettered(port, name)
        && let Some(meaning) = named(name)
    {
        all.push(Hint {
            meaning,
            weight: Weight::Strong,
            words: format!("is called `{name}` in {of}"),
            named: true,
        });
    }
    // The contract of files that minrnn wrote.
    let ours = matches!(file.metadata("minrnn.form"), Some("parallel" | "scan"))
        && ["input_ids", "features", "reset"].contains(&port.name.as_str());
    if ours && axis < 2 {
        all.push(Hint {
            meaning: [Meaning::Rows, Meaning::Time][axis],
            weight: Weight::Strong,
            words: format!("is {} by the metadata of {of}", ["the batch", "time"][axis]),
            named: false,
        });
    }
    for clue in &flow.clues {
        if clue.input != port.name || clue.axis != axis {
            continue;
        }
        let words = match clue.meaning {
            Meaning::Time if clue.weight == Weight::Mixes => {
                format!("is mixed by {} of {of}", clue.who)
            }
            Meaning::Time => format!("is what {} of {of} runs along", clue.who),
            Meaning::Rows => format!("holds the rows of {} of {of}", clue.who),
        };
        all.push(Hint {
            meaning: clue.meaning,
            weight: clue.weight,
            words,
            named: false,
        });
    }
    all
}

/// Whether it is known that an axis holds rows.
pub(super) fn is_rows(hints: &[Hint]) -> bool {
    let strong = |meaning: Meaning| {
        let is = |h: &&Hint| h.meaning == meaning && h.weight == Weight::Strong;
        hints.iter().any(|h| is(&h))
    };
    strong(Meaning::Rows) && !strong(Meaning::Time)
}

/// Where time is, of axes with what is said of each, and which of them are of no fixed size. `lone`: no other input is known to
/// have time, so an axis that alone is free may be tried at every length, whatever it is.
///
/// # Errors
/// What contradicts itself: a free axis that would hold the rows, and along which an operator runs, too.
pub(super) fn time(hints: &[Vec<Hint>], free: &[bool], lone: bool) -> Result<Time, String> {
    let found = likely(hints, free, lone)?;
    let at = match &found {
        Time::Axis(axis) => Some(*axis),
        _ => None,
    };
    let others: Vec<usize> = (0..hints.len())
        .filter(|a| free[*a] && Some(*a) != at)
        .collect();
    for axis in &others {
        let Some(mixed) = mixes(&hints[*axis]) else {
            continue;
        };
        let rows = hints[*axis]
            .iter()
            .find(|h| h.meaning == Meaning::Rows && h.weight == Weight::Strong);
        // Of several that are free, a size is asked for anyhow.
        match (rows, at, others.as_slice()) {
            (Some(rows), ..) => {
                return Err(format!("axis {axis} {}, and {}", mixed.words, rows.words));
            }
            (None, Some(at), [_]) => {
                let known = hints[at].iter().find(|h| h.meaning == Meaning::Time);
                let known = known.map_or("would be time".to_owned(), |h| h.words.clone());
                return Err(format!(
                    "axis {axis} {}, and axis {at} {known}",
                    mixed.words
                ));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// What speaks against rows: an operator runs along the axis, or mixes it.
pub(super) fn mixes(hints: &[Hint]) -> Option<&Hint> {
    let runs = |h: &&Hint| h.meaning == Meaning::Time && h.weight != Weight::Strong;
    hints.iter().find(runs)
}

/// As `time`, but for what only an operator contradicts.
fn likely(hints: &[Vec<Hint>], free: &[bool], lone: bool) -> Result<Time, String> {
    let says = |axis: usize, meaning: Meaning, weight: Weight| {
        hints[axis]
            .iter()
            .find(|h| h.meaning == meaning && h.weight == weight)
    };
    let all = |meaning: Meaning, weight: Weight| -> Vec<usize> {
        (0..hints.len())
            .filter(|a| says(*a, meaning, weight).is_some())
            .collect()
    };
    let strong = all(Meaning::Time, Weight::Strong);
    let mut found = strong.clone();
    // A sum along an axis of a fixed size may be one over channels.
    let sums = all(Meaning::Time, Weight::Sum);
    found.extend(
        sums.iter()
            .filter(|a| !strong.contains(a) && (free[**a] || strong.is_empty())),
    );
    let words = |a: &usize| {
        let hint = says(*a, Meaning::Time, Weight::Strong).or(says(*a, Meaning::Time, Weight::Sum));
        hint.map(|h| format!("axis {a} {}", h.words))
    };
    match found.as_slice() {
        [] => {}
        [axis] => {
            return match says(*axis, Meaning::Rows, Weight::Strong) {
                Some(rows) => Err(format!(
                    "{}, and {}",
                    words(axis).unwrap_or_default(),
                    rows.words
                )),
                None => Ok(Time::Axis(*axis)),
            };
        }
        several => {
            let list: Vec<String> = several.iter().filter_map(words).collect();
            return Err(list.join(", and "));
        }
    }
    let rows = all(Meaning::Rows, Weight::Strong);
    let open: Vec<usize> = (0..hints.len())
        .filter(|a| free[*a] && !rows.contains(a))
        .collect();
    let weak: Vec<usize> = all(Meaning::Time, Weight::Weak)
        .into_iter()
        .filter(|a| open.contains(a))
        .collect();
    Ok(match (weak.as_slice(), open.as_slice()) {
        ([axis], _) => Time::Axis(*axis),
        (_, []) => Time::Nowhere,
        (_, [axis]) if lone || !rows.is_empty() => Time::Axis(*axis),
        _ => Time::Open(open),
    })
}
