//! Numbers in words.

pub(super) use crate::training::percent;

/// A number on an axis.
pub(super) fn short(v: f64) -> String {
    let size = v.abs();
    let trimmed = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    match size {
        0.0 => "0".into(),
        _ if !(1e-3..1e9).contains(&size) => {
            let text = format!("{v:.1e}");
            text.replace(".0e", "e")
        }
        _ if size >= 1e6 => trimmed(format!("{:.2}", v / 1e6)) + "M",
        _ if size >= 1e4 => trimmed(format!("{:.1}", v / 1e3)) + "k",
        _ if size >= 100.0 => trimmed(format!("{v:.1}")),
        _ => trimmed(format!("{v:.3}")),
    }
}

/// Four digits that mean something.
pub(super) fn digits(value: f64) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".into(),
        _ if (1e-3..1e4).contains(&size) => {
            let before = size.log10().floor() as i32;
            let after = usize::try_from(3 - before).unwrap_or(0);
            format!("{value:.after$}")
        }
        _ => short(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_an_axis() {
        let all = [0.0, 0.25, 1.0, 250.0, 12_500.0, 2e6, 1e-4, 3.5e10, 1e-17];
        let wanted = [
            "0", "0.25", "1", "250", "12.5k", "2M", "1e-4", "3.5e10", "1e-17",
        ];
        assert_eq!(all.map(short), wanted);
    }

    #[test]
    fn figures_have_four_digits() {
        let all = [0.0, 0.0123456, 1.23456, 123.456, 12_345.6, 1e-5].map(digits);
        assert_eq!(all, ["0", "0.01235", "1.235", "123.5", "12.3k", "1e-5"]);
    }
}
