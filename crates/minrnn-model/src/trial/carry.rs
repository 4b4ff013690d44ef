//! Pieces one after the other, states given back from each to the next.

/// Steps `from..to` of a case.
pub type Span = (usize, usize);

/// The spans of pieces that follow each other.
pub fn spans(pieces: &[usize]) -> impl Iterator<Item = Span> + '_ {
    pieces.iter().scan(0, |at, piece| {
        let from = *at;
        *at += piece;
        Some((from, *at))
    })
}

/// The spans of `time` steps, so many a call; the last one is shorter where they do not fit.
///
/// # Panics
/// No step a call.
pub fn steps(time: usize, by: usize) -> impl Iterator<Item = Span> {
    let begins = (0..time).step_by(by);
    begins.map(move |from| (from, (from + by).min(time)))
}

/// Runs spans one after the other, each from the states that the one before left: what each gave, and the last states.
///
/// # Errors
/// The first one of `run`.
pub fn carried<S, R, E>(
    spans: impl IntoIterator<Item = Span>,
    states: S,
    mut run: impl FnMut(Span, S) -> Result<(R, S), E>,
) -> Result<(Vec<R>, S), E> {
    let (mut results, mut states) = (vec![], states);
    for span in spans {
        let (result, next) = run(span, states)?;
        results.push(result);
        states = next;
    }
    Ok((results, states))
}
