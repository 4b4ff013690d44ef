//! Numbers with bounds.

use minrnn_train::data::Delimiter;

/// A number of steps or characters: of none there is nothing to do.
pub(super) fn one_or_more(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => Err("expected a whole number of at least 1".into()),
    }
}

/// Bytes of memory: a number, or one with K, M or G behind it (of 1024).
pub(super) fn memory(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 'K')) => (&text[..at], 1 << 10),
        Some((at, 'M')) => (&text[..at], 1 << 20),
        Some((at, 'G')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let bytes = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit));
    bytes
        .filter(|n| *n > 0)
        .ok_or_else(|| "expected bytes, such as 4294967296 or 4G".into())
}

/// Steps of a sequence.
pub(super) fn seq_len(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1_000_000) => Ok(n),
        _ => Err("expected a number from 1 to 1000000".into()),
    }
}

/// A number of threads, rounds or steps.
pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1024) => Ok(n),
        _ => Err("expected a number from 1 to 1024".into()),
    }
}

/// What stands between the cells of a CSV file.
pub(super) fn delimiter(text: &str) -> Result<Delimiter, String> {
    let written = |of: &Delimiter| of.written() == text || text.as_bytes() == [of.byte()];
    match (text, Delimiter::ALL.into_iter().find(written)) {
        ("tab", _) => Ok(Delimiter::Tab),
        (_, Some(found)) => Ok(found),
        _ => Err("expected , ; | or tab".into()),
    }
}
