//! Errors as people read them.

/// The error and everything that led to it, each cause once.
pub(crate) fn text(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    let mut text = format!("error: {}", indented(&said));
    for cause in error.chain().skip(1) {
        let words = cause.to_string();
        // Some errors repeat their source in their own words.
        if said.contains(words.trim()) {
            continue;
        }
        text.push_str(&format!("\n  because {}", indented(&words)));
        said = words;
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
