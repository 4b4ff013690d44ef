//! Errors as people read them.

use crate::words::plain;

/// The error and everything that led to it, each cause once, without types of Rust.
pub(crate) fn text(error: &anyhow::Error) -> String {
    plain(&chain(error))
}

fn chain(error: &anyhow::Error) -> String {
    let mut said = cut(&error.to_string());
    let mut text = format!("error: {}", indented(&said));
    for cause in error.chain().skip(1) {
        let words = cut(&cause.to_string());
        // Some errors repeat their source in their own words.
        if said.contains(words.trim()) {
            continue;
        }
        text.push_str(&format!("\n  because {}", indented(&words)));
        said = words;
    }
    text
}

/// Bytes of a message that anybody reads: what it repeats from a file may be as long as that.
const MOST: usize = 8000;

/// A message without the middle of what is too long.
fn cut(text: &str) -> String {
    let text = without_trace(text);
    if text.len() <= MOST {
        return text.to_owned();
    }
    let from = text.floor_char_boundary(MOST - MOST / 8);
    let to = text.ceil_char_boundary(text.len() - MOST / 8);
    let left_out = text[from..to].chars().count();
    format!(
        "{} … ({left_out} characters left out) … {}",
        &text[..from],
        &text[to..]
    )
}

/// A message without the functions that were running when it was made, which some libraries put behind their own where the environment
/// asks for backtraces.
pub(crate) fn without_trace(text: &str) -> &str {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at > 0 && line.starts_with(' ') && line.trim_start().starts_with("0: ") {
            return text[..at].trim_end();
        }
        at += line.len();
    }
    text
}

/// Lines after the first one moved in.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn no_backtrace_is_shown() {
        let said = "shape mismatch in matmul, lhs: [2, 3]\n   0: candle_core::error::Error::bt\n             at ./error.rs:3:1\n   1: main\n";
        assert_eq!(without_trace(said), "shape mismatch in matmul, lhs: [2, 3]");
        let error = anyhow::anyhow!("{said}").context("a step failed");
        assert_eq!(
            text(&error),
            "error: a step failed\n  because shape mismatch in matmul, lhs: [2, 3]"
        );
        let list = "of these\n 1: one\n";
        assert_eq!(without_trace(list), list);
    }

    /// As the library makes them.
    #[test]
    fn errors_of_the_tensor_library_are_one_line() {
        use candle_core::{DType, Device, Tensor};
        let of = |dims: (usize, usize)| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        let error = of((2, 3)).matmul(&of((2, 3))).unwrap_err();
        let traced = candle_core::Error::Msg("no such shape".into()).bt();
        for error in [anyhow::Error::from(error), anyhow::Error::from(traced)] {
            let text = text(&error);
            assert!(!text.contains(" 0: ") && text.lines().count() < 3, "{text}");
        }
    }

    #[test]
    fn messages_are_bounded() {
        let long = format!("begin{}end", "ü".repeat(50_000_000));
        let error = anyhow::anyhow!("{long}").context(long.clone());
        let text = text(&error);
        assert!(text.len() < 2 * MOST, "{}", text.len());
        assert!(text.starts_with("error: begin") && text.ends_with("end"));
        assert!(
            text.contains("(49996005 characters left out)"),
            "{}",
            &text[6990..7060]
        );
    }

    #[test]
    fn the_chain_is_printed_without_echoes() {
        let inner = std::io::Error::other("disk on fire");
        let error = Err::<(), _>(inner)
            .context("cannot write a.txt: disk on fire")
            .context("cannot save\nthe run");
        let error = error.unwrap_err();
        assert_eq!(
            text(&error),
            "error: cannot save\n    the run\n  because cannot write a.txt: disk on fire"
        );
    }
}
