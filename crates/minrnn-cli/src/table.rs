//! Tables for people.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};

/// A table with a header; the columns `right` are numbers.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    right: &[usize],
) -> Table {
    let mut table = plain();
    table.set_header(header);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The same with any number of columns.
pub(crate) fn wide(
    header: Vec<String>,
    rows: impl IntoIterator<Item = Vec<String>>,
    right: std::ops::Range<usize>,
) -> Table {
    let mut table = plain();
    table.set_header(header);
    rows.into_iter().for_each(|row| {
        table.add_row(row);
    });
    for column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Names and values, without a header.
pub(crate) fn facts(rows: impl IntoIterator<Item = (&'static str, String)>) -> Table {
    let mut table = plain();
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    table
}

fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        // On a terminal a table is as wide as that at most; elsewhere as wide as it is.
        .set_content_arrangement(ContentArrangement::Dynamic);
    table
}

/// `812 B`, `12.3 kB`, `4.9 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b >= 1e6 => format!("{:.1} MB", b / 1e6),
        b if b >= 1e3 => format!("{:.1} kB", b / 1e3),
        _ => format!("{bytes} B"),
    }
}

/// `1,234,567`.
pub(crate) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A cell of a Markdown table whose text is no markup.
pub(crate) fn escaped(cell: &str) -> String {
    let cell = cell.replace('&', "&amp;").replace('<', "&lt;");
    cell.replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// A cell of a CSV.
pub(crate) fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_the_terminal_and_loses_nothing() {
        let row = [
            "model.parallel.onnx",
            "1.2 MB",
            &"0123456789abcdef".repeat(4),
        ]
        .map(str::to_owned);
        let mut table = table(["file", "size", "sha256"], [row.clone()], &[1]);
        let widest = |text: &str| text.lines().map(|l| l.chars().count()).max();
        assert!(
            widest(&table.to_string()) > Some(90),
            "not a terminal, not cut"
        );
        for width in [40, 60, 80] {
            let text = table.set_width(width).to_string();
            assert!(widest(&text) <= Some(usize::from(width)), "{text}");
            let glyphs = |s: &str| s.chars().filter(char::is_ascii_alphanumeric).count();
            let header = glyphs("filesizesha256");
            assert_eq!(
                glyphs(&text),
                header + row.iter().map(|c| glyphs(c)).sum::<usize>()
            );
        }
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [812, 12_345, 4_900_000].map(size),
            ["812 B", "12.3 kB", "4.9 MB"]
        );
    }
}
