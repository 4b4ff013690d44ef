//! The page: a head, the facts in short, and sections.

use std::fmt::Write as _;

use super::html::escape;

const STYLE: &str = include_str!("page.css");

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// What it is about, as text.
    pub(super) title: String,
    pub(super) subtitle: String,
    /// Names and values, as text.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Titles and bodies, these as markup.
    sections: Vec<(&'static str, String)>,
}

impl Page {
    /// Without facts and sections.
    pub(super) fn new(title: String, subtitle: String) -> Self {
        Self {
            title,
            subtitle,
            ..Self::default()
        }
    }

    /// `body` is markup.
    pub(super) fn section(&mut self, title: &'static str, body: String) {
        self.sections.push((title, body));
    }

    /// The whole. No script and nothing from elsewhere: the page itself forbids it.
    pub(super) fn html(&self) -> String {
        let title = escape(&self.title);
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <header>\n<h1>{title}</h1>\n<p>{}</p>\n</header>\n",
            escape(&self.subtitle)
        );
        out.push_str("<dl class=\"facts\">\n");
        for (name, value) in &self.facts {
            let _ = writeln!(
                out,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                escape(name),
                escape(value)
            );
        }
        out.push_str("</dl>\n<nav>\n");
        for (i, (title, _)) in self.sections.iter().enumerate() {
            let _ = writeln!(out, "<a href=\"#s{i}\">{}</a>", escape(title));
        }
        out.push_str("</nav>\n");
        for (i, (title, body)) in self.sections.iter().enumerate() {
            let _ = write!(
                out,
                "<section id=\"s{i}\">\n<h2>{}</h2>\n{body}</section>\n",
                escape(title)
            );
        }
        let version = env!("CARGO_PKG_VERSION");
        let _ = write!(
            out,
            "<footer>Made by <code>minrnn report</code>, minrnn {version}.</footer>\n</main>\n</body>\n</html>\n"
        );
        out
    }
}
