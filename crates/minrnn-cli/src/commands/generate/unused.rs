//! Flags that would change nothing, or ask for what cannot come.

use anyhow::{Result, bail};
use minrnn_train::data::Vocabulary;

use crate::args::Generate;
use crate::given::{Given, flag};

/// Those that follow from the command line alone.
pub(super) fn refuse(args: &Generate, given: &Given) -> Result<()> {
    if args.temperature == 0.0 {
        let chance = ["seed", "top_k", "top_p"];
        if let Some(name) = chance.iter().find(|name| given.has(name)) {
            bail!(
                "{} would change nothing: at --temperature 0 always the likeliest token is taken; leave it out, or choose a temperature above 0",
                flag(name)
            );
        }
    }
    if args.top_k == Some(1) {
        let chance = ["seed", "temperature", "top_p"];
        if let Some(name) = chance.iter().find(|name| given.has(name)) {
            bail!(
                "{} would change nothing: with --top-k 1 always the likeliest token is taken; leave it out, or choose a larger K",
                flag(name)
            );
        }
    }
    match args.top_p {
        Some(1.0) => {
            bail!("--top-p 1 would change nothing: all tokens together have it; leave it out")
        }
        Some(p) if !(p > 0.0 && p < 1.0) => {
            bail!("--top-p is {p}, expected more than 0 and less than 1")
        }
        _ => refuse_stops(args),
    }
}

fn refuse_stops(args: &Generate) -> Result<()> {
    for (i, stop) in args.stop.iter().enumerate() {
        if stop.is_empty() {
            bail!("--stop \"\": the text is empty, and would end everything before it begins");
        }
        if args.stop[..i].contains(stop) {
            bail!("--stop {stop:?} is given twice; leave one of them out");
        }
        // Where another one is within it and not at its end, that one comes first, always.
        let first = |other: &&String| {
            let mut places = stop.match_indices(other.as_str());
            places.any(|(at, found)| at + found.len() < stop.len())
        };
        if let Some(other) = args.stop.iter().find(first) {
            bail!(
                "--stop {stop:?} would change nothing: --stop {other:?} is in it, and comes first"
            );
        }
    }
    Ok(())
}

/// Those that follow from what the model knows.
pub(super) fn refuse_for(args: &Generate, words: &Vocabulary) -> Result<()> {
    let (count, unit) = (words.len(), words.unit());
    if let Some(k) = args.top_k.filter(|k| *k >= count) {
        bail!(
            "--top-k {k} would change nothing: the model knows {count} {unit}s; leave it out, or choose a smaller K"
        );
    }
    if words.characters().is_none() {
        return Ok(());
    }
    for stop in &args.stop {
        let length = stop.chars().count();
        if length > args.length {
            bail!(
                "--stop {stop:?} would change nothing: it has {length} characters, and --length {} ends the text before it is whole",
                args.length
            );
        }
        let unknown = |c: &char| words.encode(c.encode_utf8(&mut [0; 4])).is_err();
        if let Some(stranger) = stop.chars().find(unknown) {
            bail!(
                "--stop {stop:?} would change nothing: the model does not know the character {stranger:?}, so it never writes it"
            );
        }
    }
    Ok(())
}
