//! How a CSV file is written: what stands between its cells, and whether its first row names the columns.

use csv::StringRecord;
use serde::{Deserialize, Serialize};

/// What stands between the cells of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Delimiter {
    /// `,`
    #[default]
    #[serde(rename = ",")]
    Comma,
    /// `;`
    #[serde(rename = ";")]
    Semicolon,
    /// A tab.
    #[serde(rename = "\t")]
    Tab,
    /// `|`
    #[serde(rename = "|")]
    Bar,
}

impl Delimiter {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Bar];

    /// As it stands in a file.
    pub fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }

    /// As it is written between quotes.
    pub fn written(self) -> &'static str {
        match self {
            Self::Comma => ",",
            Self::Semicolon => ";",
            Self::Tab => "\\t",
            Self::Bar => "|",
        }
    }

    /// The one of a file that begins so, by its first line that is not empty: the one that stands in it most often outside of quotes.
    /// `None` where none does.
    pub fn of(begin: &[u8]) -> Option<Self> {
        let mut lines = begin.split(|b| matches!(b, b'\n' | b'\r'));
        let first = lines.find(|line| !line.is_empty())?;
        let count = |of: Self| {
            let mut quoted = false;
            let counts = |b: &&u8| {
                quoted ^= **b == b'"';
                !quoted && **b == of.byte()
            };
            first.iter().filter(counts).count()
        };
        let found = Self::ALL.into_iter().map(|of| (count(of), of));
        // The first of equals.
        let most = found.rev().max_by_key(|(count, _)| *count)?;
        (most.0 > 0).then_some(most.1)
    }
}

/// How a CSV file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvFormat {
    /// What stands between the cells of a row.
    pub delimiter: Delimiter,
    /// Whether the first row names the columns. Else they are called 1, 2, 3, .. in their order.
    pub header: bool,
}

impl Default for CsvFormat {
    fn default() -> Self {
        Self {
            delimiter: Delimiter::Comma,
            header: true,
        }
    }
}

/// Names of columns that have none.
pub(super) fn numbered(columns: usize) -> StringRecord {
    (1..=columns).map(|n| n.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_what_stands_most_often_outside_of_quotes() {
        for (begin, wanted) in [
            ("a,b,c\n1;2;3;4", Some(Delimiter::Comma)),
            ("\n\r\na;b,c;d\n", Some(Delimiter::Semicolon)),
            ("a\tb\n", Some(Delimiter::Tab)),
            ("\"a,b,c\"|d", Some(Delimiter::Bar)),
            ("a;b,c", Some(Delimiter::Comma)),
            ("abc", None),
            ("", None),
        ] {
            assert_eq!(Delimiter::of(begin.as_bytes()), wanted, "{begin:?}");
        }
    }

    #[test]
    fn a_delimiter_is_written_as_itself() {
        for one in Delimiter::ALL {
            let text = format!("\"{}\"", one.written());
            let read: Delimiter = serde_json::from_str(&text).unwrap();
            assert_eq!(read, one);
        }
        let wrong = serde_json::from_str::<Delimiter>("\":\"").unwrap_err();
        assert!(wrong.to_string().contains("expected one of"), "{wrong}");
    }
}
