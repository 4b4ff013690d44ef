//! What labels are: classes by number or by name, or values in the units of the data.

use std::collections::BTreeSet;

use minrnn_model::graph::OutputKind;

use super::SequencesOptions;
use super::source::{Piece, Source};
use crate::data::Statistics;
use crate::error::{Result, TrainError};
use crate::task::range;

/// Statistics of real targets over the labels of sequences `members`; padding is none of them.
///
/// # Errors
/// Those of files that sequences are read from.
pub(super) fn target_statistics(set: &Source, members: &[usize]) -> Result<Option<Statistics>> {
    let Some(width) = set.targets() else {
        return Ok(None);
    };
    let statistics = Statistics::passing(width, |row| {
        let mut turn = set.turn();
        members.iter().try_for_each(|i| {
            turn.labels(*i, &mut |_, labels| {
                if let Piece::Values(values, width) = labels {
                    values.chunks_exact(*width).for_each(&mut *row);
                }
                Ok(())
            })
        })
    });
    statistics.map(Some)
}

/// Errors in the data's units are squared in float32, which holds 1e-38 to 1e38. Single values are looked at by [`range::check`].
pub(super) fn check_squares(
    options: &SequencesOptions,
    targets: &Statistics,
    name: impl Fn(usize) -> String,
) -> Result<()> {
    let out = |i: &usize| {
        !(1e-18..=range::FARTHEST).contains(&targets.std[*i]) && !targets.is_constant(*i)
    };
    let far = |i: &usize| targets.mean[*i].abs() > range::FARTHEST;
    match (0..targets.std.len()).find(|i| out(i) || far(i)) {
        Some(i) => {
            let (mean, std) = (targets.mean[i], targets.std[i]);
            let message = format!(
                "has mean {mean:e} and standard deviation {std:e}, whose squares are beyond float32; give it in another unit"
            );
            Err(TrainError::data(&options.path, name(i), message))
        }
        None => Ok(()),
    }
}

/// Gives classes the names that the options have, in their order. Numbers are places in that order, unless the names are of digits:
/// then they are what labels are called, as 10 is of 08, 09, 10.
pub(super) fn name_classes(options: &SequencesOptions, set: &mut Source) -> Result<()> {
    if options.class_names.is_empty() {
        return Ok(());
    }
    let wanted = &options.class_names;
    let mut seen = BTreeSet::new();
    if let Some(twice) = wanted.iter().find(|name| !seen.insert(*name)) {
        return Err(TrainError::config(
            "class_names",
            format!("has `{twice}` twice"),
        ));
    }
    let place = |name: &str| {
        let place = wanted.iter().position(|w| w == name);
        place.map(|i| i as u32).ok_or_else(|| {
            let message = format!("there is a label '{name}', which is not in `class_names`");
            TrainError::data(&options.path, "", message)
        })
    };
    let digits = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    if set.targets().is_none() {
        match set.label_names().cloned() {
            Some(found) => {
                let places = found
                    .iter()
                    .map(|name| place(name))
                    .collect::<Result<Vec<_>>>()?;
                set.renumber(&|id| Ok(places[id as usize]))?;
            }
            None if wanted.iter().all(digits) => {
                set.renumber(&|id| place(&id.to_string()))?;
            }
            None if options.labels_were_names => {
                let first = set.classes().first().copied().unwrap_or(0);
                return Err(TrainError::data(
                    &options.path,
                    "",
                    format!("the label {first} is a number, and the classes have names"),
                ));
            }
            None => {}
        }
    }
    set.name_labels(wanted.clone());
    Ok(())
}

/// What comes out, and how many channels that has.
pub(super) fn output(options: &SequencesOptions, set: &Source) -> Result<(OutputKind, usize)> {
    if let Some(width) = set.targets() {
        return Ok((OutputKind::Values, width));
    }
    /// A class number beyond this is rather an identifier.
    const MOST: usize = 1 << 20;
    let largest = set.classes().last().copied().unwrap_or(0) as usize;
    let named = set.label_names().map(Vec::len);
    if let (Some(named), Some(count)) = (named, options.classes)
        && named != count
    {
        let message = format!("is {count}, but the classes have {named} names; leave it out");
        return Err(TrainError::config("classes", message));
    }
    let count = named.or(options.classes).unwrap_or(largest + 1);
    if largest >= count {
        return Err(TrainError::data(
            &options.path,
            "",
            match named {
                Some(_) => format!("there is a label {largest}, but {count} `class_names`"),
                None => format!("there is a label {largest}, but classes = {count}"),
            },
        ));
    }
    if !(2..=MOST).contains(&count) {
        let message = format!("the labels make {count} classes, expected 2 to {MOST}");
        return Err(TrainError::data(&options.path, "", message));
    }
    Ok((OutputKind::Logits, count))
}

/// Numbers of classes that no label has, where the largest label alone says how many there are.
pub(super) fn gaps(options: &SequencesOptions, set: &Source) -> Option<String> {
    if options.classes.is_some() || set.label_names().is_some() {
        return None;
    }
    let there = set.classes();
    let largest = *there.last()?;
    let missing = largest as usize + 1 - there.len();
    let first: Vec<String> = (0..largest)
        .filter(|id| !there.contains(id))
        .take(SHOWN)
        .map(|id| id.to_string())
        .collect();
    let more = if missing > SHOWN { ", .." } else { "" };
    (missing > 0).then(|| {
        format!(
            "labels of classes are numbers from 0 on: {largest} is the largest, which makes {} classes, and {missing} of them ({}{more}) have no label; \
             task.classes = {} says that it is so, task.class_names gives classes names in the place of numbers",
            largest + 1,
            first.join(", "),
            largest + 1
        )
    })
}

/// Numbers that are shown of many.
const SHOWN: usize = 8;
