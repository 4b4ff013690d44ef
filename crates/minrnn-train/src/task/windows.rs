//! Windows of tokens as a batch: what is predicted is the token behind each.

use super::{Batch, Input, Targets};

/// A batch of windows of at most T + 1 tokens, the inputs and, one later, the targets; shorter ones are padded.
pub(super) fn batch<W: AsRef<[u32]>>(windows: &[W]) -> Batch {
    let lens: Vec<usize> = windows.iter().map(|w| w.as_ref().len() - 1).collect();
    let time = lens.iter().copied().max().unwrap_or(1);
    let (mut ids, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (window, len) in windows.iter().map(AsRef::as_ref).zip(&lens) {
        let padding = std::iter::repeat_n(0, time - len);
        ids.extend(window[..*len].iter().copied().chain(padding.clone()));
        targets.extend(window[1..].iter().copied().chain(padding));
        weights.extend((0..time).map(|step| f32::from(u8::from(step < *len))));
    }
    let ragged = lens.iter().any(|len| *len != time);
    Batch {
        batch: windows.len(),
        time,
        input: Input::Tokens { ids },
        targets: Targets::Classes {
            ids: targets,
            per_step: true,
        },
        weights: ragged.then_some(weights),
        lens: ragged.then(|| lens.iter().map(|len| *len as u32).collect()),
        reset: None,
    }
}
