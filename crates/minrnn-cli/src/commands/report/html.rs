//! HTML as text. Whatever comes from a file goes through [`escape`], and nothing else writes it.

use std::fmt::Write as _;

/// Text that is no markup, in elements and in quoted attributes. What cannot be seen, or turns the order of what follows around, is
/// replaced by a sign.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{0}'..='\u{1f}' => out.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => out.push('\u{2421}'),
            '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                out.push('\u{fffd}');
            }
            c => out.push(c),
        }
    }
    out
}

/// Names of classes may be blanks or line breaks, which are shown as they would be written.
pub(super) fn name(text: &str) -> String {
    let plain = !text.is_empty() && text.trim() == text && !text.contains(char::is_control);
    match plain {
        true => escape(text),
        false => escape(&format!("{text:?}")),
    }
}

/// A cell of a table.
pub(super) enum Cell {
    /// Text, escaped.
    Text(String),
    /// A number, on the right.
    Number(String),
    /// Markup of ours.
    Markup(String),
}

/// Text.
pub(super) fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

/// A number.
pub(super) fn number(text: impl Into<String>) -> Cell {
    Cell::Number(text.into())
}

/// A table that scrolls where it is wider than the page; columns whose first row is a number have their header on the right.
pub(super) fn table(header: &[&str], rows: &[Vec<Cell>]) -> String {
    let right = |i: usize| {
        let cell = rows.first().and_then(|row| row.get(i));
        matches!(cell, Some(Cell::Number(_)))
    };
    let mut out = String::from("<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>");
    for (i, word) in header.iter().enumerate() {
        let class = if right(i) { " class=\"n\"" } else { "" };
        let _ = write!(out, "<th{class} scope=\"col\">{}</th>", escape(word));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = match cell {
                Cell::Text(text) => write!(out, "<td>{}</td>", escape(text)),
                Cell::Number(text) => write!(out, "<td class=\"n\">{}</td>", escape(text)),
                Cell::Markup(markup) => write!(out, "<td>{markup}</td>"),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// A paragraph of small print.
pub(super) fn note(text: &str) -> String {
    format!("<p class=\"note\">{}</p>\n", escape(text))
}

/// What opens when it is asked for. `body` is markup.
pub(super) fn details(summary: &str, body: &str) -> String {
    format!(
        "<details><summary>{}</summary>\n{body}</details>\n",
        escape(summary)
    )
}

/// Figures side by side. `figures` are markup.
pub(super) fn grid(figures: &[String]) -> String {
    format!("<div class=\"grid\">\n{}</div>\n", figures.concat())
}

/// A figure with its caption; `svg` is markup.
pub(super) fn figure(svg: &str, caption: &str) -> String {
    format!(
        "<figure>\n{svg}<figcaption>{}</figcaption></figure>\n",
        escape(caption)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_file_becomes_markup() {
        let text = "<script>\"a\" & 'b'</script>\u{1}\u{202e}\u{85}\n";
        let wanted = "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;\u{2401}\u{fffd}\u{fffd}\n";
        assert_eq!(escape(text), wanted);
        assert_eq!(name(" "), "&quot; &quot;");
        assert_eq!(name("\n"), "&quot;\\n&quot;");
        let table = table(&["<i>"], &[vec![super::text("<b>"), number("<u>")]]);
        assert!(!["<i>", "<b>", "<u>"].iter().any(|tag| table.contains(tag)));
        let rest = [note("<b>"), details("<b>", ""), figure("", "<b>")].concat();
        assert!(!rest.contains("<b>"), "{rest}");
    }
}
