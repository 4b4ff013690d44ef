//! Quotes of a CSV file, looked at byte by byte: one that is not closed takes the rows behind it into its cell, and text behind a closing
//! quote would become a part of the cell, without a word.

/// Where in a record a byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    Begin,
    /// In a cell without quotes; a quote there is a character.
    Plain,
    Quoted,
    /// Behind a quote within a quoted cell: a second one makes it a character, else the cell is over.
    Closed,
    /// Blanks behind a closing quote.
    Behind,
}

/// Follows the quotes of a file.
#[derive(Debug)]
pub(super) struct Quotes {
    delimiter: u8,
    place: Place,
    lines: u64,
    after_return: bool,
    /// The line in which the cell's quote was opened, from 0.
    opened: u64,
}

/// What is wrong with a quote, and in which line of the file, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quote {
    pub(super) line: u64,
    pub(super) what: &'static str,
}

const OPEN: &str = "a quote is opened and not closed in its line; close it, write a quote within a cell twice, or leave it out";
const BEHIND: &str = "there is text behind a closing quote; put all of the cell between quotes, and write a quote within it twice";

impl Quotes {
    /// Of a file with such a byte between its cells.
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            place: Place::Begin,
            lines: 0,
            after_return: false,
            opened: 0,
        }
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), Quote> {
        bytes.iter().try_for_each(|byte| self.one(*byte))
    }

    /// The file is over.
    pub(super) fn end(&self) -> Result<(), Quote> {
        match self.place {
            Place::Quoted => Err(self.fault(self.opened, OPEN)),
            _ => Ok(()),
        }
    }

    fn fault(&self, line: u64, what: &'static str) -> Quote {
        Quote {
            line: line + 1,
            what,
        }
    }

    fn one(&mut self, byte: u8) -> Result<(), Quote> {
        let breaks = matches!(byte, b'\r' | b'\n');
        self.place = match (self.place, byte) {
            (Place::Quoted, _) if breaks => return Err(self.fault(self.opened, OPEN)),
            (Place::Quoted, b'"') => Place::Closed,
            (Place::Quoted, _) => Place::Quoted,
            (Place::Closed, b'"') => Place::Quoted,
            (_, byte) if byte == self.delimiter => Place::Begin,
            _ if breaks => Place::Begin,
            (Place::Begin, b'"') => {
                self.opened = self.lines;
                Place::Quoted
            }
            (Place::Begin | Place::Plain, _) => Place::Plain,
            (Place::Closed | Place::Behind, b' ' | b'\t') => Place::Behind,
            (Place::Closed | Place::Behind, _) => return Err(self.fault(self.lines, BEHIND)),
        };
        if breaks && !(byte == b'\n' && self.after_return) {
            self.lines += 1;
        }
        self.after_return = byte == b'\r';
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Option<(u64, &'static str)> {
        // In any pieces.
        let all = [1, 3, text.len().max(1)].map(|size| {
            let mut quotes = Quotes::new(b',');
            let mut pieces = text.as_bytes().chunks(size);
            let done = pieces.try_for_each(|piece| quotes.take(piece));
            done.and_then(|()| quotes.end()).err()
        });
        assert!(all.windows(2).all(|w| w[0] == w[1]), "{text}: {all:?}");
        let [one, ..] = all;
        one.map(|q| (q.line, q.what))
    }

    #[test]
    fn quotes_are_closed_in_their_line_and_at_the_end_of_their_cell() {
        for right in [
            "a,b\n1,2\n",
            "\"a\",\"b,c\"\r\n1,2",
            "5\",6\"\n",
            "\"say \"\"so\"\"\",1\n\"\",\"\"\n",
            "\"a\" ,1\n",
            "",
        ] {
            assert_eq!(fault(right), None, "{right}");
        }
        for (wrong, line, what) in [
            ("a,b\r\n1,\"inch\r\n2,3\r\n", 2, OPEN),
            ("a\nb\n\n\"x", 4, OPEN),
            ("a,\"b\n\"\n", 1, OPEN),
            ("a\r\"3\"5,1\r", 2, BEHIND),
            ("\"3\" 5\n", 1, BEHIND),
        ] {
            assert_eq!(fault(wrong), Some((line, what)), "{wrong}");
        }
    }
}
