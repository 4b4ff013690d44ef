//! Figures of a training in words.

use minrnn_train::trainer::Metrics;

/// `validation loss 0.1234, accuracy 98.70 %`.
pub(crate) fn said(metrics: &Metrics) -> String {
    let accuracy = metrics
        .accuracy
        .map_or(String::new(), |a| format!(", accuracy {}", percent(a)));
    format!("validation loss {}{accuracy}", number(metrics.loss))
}

/// A loss; its digits where it is very small or large, as squares in the units of the data may be.
pub(crate) fn number(loss: f64) -> String {
    if loss == 0.0 || (1e-3..1e6).contains(&loss) {
        format!("{loss:.4}")
    } else {
        format!("{loss:.4e}")
    }
}

/// The norm of a gradient: three digits.
pub(super) fn norm(norm: f64) -> String {
    if norm == 0.0 || (0.01..1e4).contains(&norm) {
        format!("{norm:.2}")
    } else {
        format!("{norm:.1e}")
    }
}

/// A share, to the nearest hundredth of a percent; never rounded up to 100 %.
pub(crate) fn percent(share: f64) -> String {
    let most = if share < 1.0 { 99.99 } else { 100.0 };
    format!("{:.2} %", (100.0 * share).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_keep_their_digits() {
        let all = [0.0, 1e-9, 0.0123456, 2.5, 959_564.12, 1.5e9];
        let wanted = [
            "0.0000",
            "1.0000e-9",
            "0.0123",
            "2.5000",
            "959564.1200",
            "1.5000e9",
        ];
        assert_eq!(all.map(number), wanted);
    }

    #[test]
    fn norms_have_some_digits() {
        let all = [0.0, 0.0004, 0.5, 12.345, 54_321.0].map(norm);
        assert_eq!(all, ["0.00", "4.0e-4", "0.50", "12.35", "5.4e4"]);
    }

    #[test]
    fn shares_are_rounded_but_never_to_the_whole() {
        assert_eq!(
            [1.0, 0.99999, 0.5, 0.973_66, 0.2999, 0.0].map(percent),
            [
                "100.00 %", "99.99 %", "50.00 %", "97.37 %", "29.99 %", "0.00 %"
            ]
        );
    }
}
