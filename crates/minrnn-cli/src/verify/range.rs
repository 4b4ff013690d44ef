//! Features that a file makes float16 before it computes with them: which are numbers there, and that the others are refused.

use minrnn_model::trial::Case;
use minrnn_model::usual::Usual;

use super::engine::Tract;
use super::report::Tally;
use super::{Grade, Row};

/// The largest number of float16.
const MOST: f64 = 65_504.0;
/// What rounds to it lies within this share above; the normalisation is rounded too.
const SLACK: f64 = 1e-3;
/// Channels that are tried, at both ends.
const TRIED: usize = 64;

/// Whether a case has nothing but features that are numbers to the file.
pub(super) fn fits(form: &Tract, case: &Case) -> bool {
    let Some(range) = &form.info().range else {
        return true;
    };
    let each = range.channels();
    let within = |(i, x): (usize, &f32)| {
        let (least, most) = each[i % each.len()];
        (least..=most).contains(x)
    };
    case.features.iter().enumerate().all(within)
}

/// The row and the note of the forms that are there; none where all features are numbers to them.
pub(super) fn row(forms: &[(&str, &Tract)], usual: Option<&Usual>) -> Option<(Row, String)> {
    let range = forms.iter().find_map(|(_, f)| f.info().range.as_ref())?;
    let each = range.channels();
    let tally = Tally::new("minrnn", "features in float16", "files", Grade::Exact);
    let row = match wrong(forms, each, usual) {
        Some(what) => tally.missing(what),
        None => tally.agreeing(),
    };
    let narrow = |(_, (least, most)): &(usize, &(f32, f32))| f64::from(*most) - f64::from(*least);
    let channels = each.iter().enumerate();
    let narrowest = channels.min_by(|a, b| narrow(a).total_cmp(&narrow(b)));
    let (channel, (least, most)) = narrowest?;
    let note = format!(
        "features are made float16 before the first product: channel {channel} takes {least:?} to {most:?}, and of {} none takes less; minrnn-runtime refuses what is beyond, other engines compute with infinity (export as f32 or bf16 where that may come)",
        each.len()
    );
    Some((row, note))
}

/// What is wrong with the ranges, in words.
fn wrong(forms: &[(&str, &Tract)], each: &[(f32, f32)], usual: Option<&Usual>) -> Option<String> {
    for (name, form) in forms {
        let own = form.info().range.as_ref().map(|r| r.channels());
        if own != Some(each) {
            return Some(format!(
                "{name} takes features of another range than the other forms"
            ));
        }
        for channel in 0..each.len().min(TRIED) {
            let (least, most) = each[channel];
            for beyond in [least.next_down(), most.next_up()] {
                let mut features = vec![0.0; each.len()];
                let middles = each.iter().map(|(a, b)| a / 2.0 + b / 2.0);
                features.iter_mut().zip(middles).for_each(|(x, m)| *x = m);
                features[channel] = beyond;
                if beyond.is_finite() && !form.refuses(&features) {
                    return Some(format!(
                        "{name} takes {beyond:?} in channel {channel}, which is infinite in float16"
                    ));
                }
            }
        }
    }
    let mut channels = each.iter().enumerate();
    channels.find_map(|(channel, ends)| {
        let (mean, std) = usual.map_or((0.0, 1.0), |u| (u.mean[channel], u.std[channel]));
        // Where all fit there is no end to hold; f32 has no numbers between its own.
        let off = |end: f32| {
            let (end, own) = (f64::from(end), f64::from(f32::EPSILON));
            let apart = (((end - mean) / std).abs() / MOST - 1.0).abs();
            apart > SLACK + 4.0 * own * end.abs().max(mean.abs()) / std / MOST
        };
        let held = |end: &f32| end.abs() < f32::MAX;
        let wrong = [ends.0, ends.1].iter().any(|end| held(end) && off(*end));
        wrong.then(|| {
            format!(
                "channel {channel} takes {:?} to {:?}, which are not the ends of float16 for a mean of {mean} and a spread of {std}",
                ends.0, ends.1
            )
        })
    })
}
