//! What labels are: classes by number or by name, or values in the units of the data.

use std::collections::BTreeSet;

use minrnn_model::graph::OutputKind;

use super::SequencesOptions;
use crate::data::{Labels, SequenceSet, Statistics};
use crate::error::{Result, TrainError};
use crate::task::range;

/// Statistics of real targets over the labels of sequences `members`; padding is none of them.
pub(super) fn target_statistics(set: &SequenceSet, members: &[usize]) -> Option<Statistics> {
    let Labels::Values { values, width } = &set.labels else {
        return None;
    };
    let rows = members.iter().flat_map(|i| {
        let labels = set.labels_of(*i);
        values[labels.start * width..labels.end * width].chunks_exact(*width)
    });
    Some(Statistics::over(*width, rows))
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
pub(super) fn name_classes(options: &SequencesOptions, set: &mut SequenceSet) -> Result<()> {
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
    if let Labels::Classes(ids) = &mut set.labels {
        match &set.label_names {
            Some(found) => {
                let places = found
                    .iter()
                    .map(|name| place(name))
                    .collect::<Result<Vec<_>>>()?;
                ids.iter_mut().for_each(|id| *id = places[*id as usize]);
            }
            None if wanted.iter().all(digits) => {
                for id in ids.iter_mut() {
                    *id = place(&id.to_string())?;
                }
            }
            None if options.labels_were_names => {
                let first = ids.first().copied().unwrap_or(0);
                return Err(TrainError::data(
                    &options.path,
                    "",
                    format!("the label {first} is a number, and the classes have names"),
                ));
            }
            None => {}
        }
    }
    set.label_names = Some(wanted.clone());
    Ok(())
}

/// What comes out, and how many channels that has.
pub(super) fn output(options: &SequencesOptions, set: &SequenceSet) -> Result<(OutputKind, usize)> {
    let ids = match &set.labels {
        Labels::Values { width, .. } => return Ok((OutputKind::Values, *width)),
        Labels::Classes(ids) => ids,
    };
    /// A class number beyond this is rather an identifier.
    const MOST: usize = 1 << 20;
    let largest = ids.iter().copied().max().unwrap_or(0) as usize;
    let named = set.label_names.as_ref().map(Vec::len);
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
pub(super) fn gaps(options: &SequencesOptions, set: &SequenceSet) -> Option<String> {
    let Labels::Classes(ids) = &set.labels else {
        return None;
    };
    if options.classes.is_some() || set.label_names.is_some() {
        return None;
    }
    let there: BTreeSet<u32> = ids.iter().copied().collect();
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
