//! Texts at which a text is over.

/// Looks for texts in what is written, and holds back what may be the beginning of one.
#[derive(Debug, Clone)]
pub(super) struct Stops {
    texts: Vec<String>,
    /// Written and not shown: the beginning of one of the texts.
    held: String,
}

/// What may be shown of what was written, and which text it ended with.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) shown: String,
    pub(super) stop: Option<String>,
}

impl Stops {
    pub(super) fn new(texts: Vec<String>) -> Self {
        Self {
            texts,
            held: String::new(),
        }
    }

    /// One more character. Of several texts that end here the longest counts: it began first.
    pub(super) fn take(&mut self, character: char) -> Found {
        self.held.push(character);
        let ended = self.texts.iter().filter(|t| self.held.ends_with(*t));
        if let Some(stop) = ended.max_by_key(|t| t.len()) {
            let mut shown = std::mem::take(&mut self.held);
            shown.truncate(shown.len() - stop.len());
            return Found {
                shown,
                stop: Some(stop.clone()),
            };
        }
        let kept = self.begun();
        let rest = self.held.split_off(self.held.len() - kept);
        Found {
            shown: std::mem::replace(&mut self.held, rest),
            stop: None,
        }
    }

    /// Bytes at the end that one of the texts begins with.
    fn begun(&self) -> usize {
        let begins = |at: &usize| {
            let end = &self.held[*at..];
            self.texts.iter().any(|text| text.starts_with(end))
        };
        let mut places = self.held.char_indices().map(|(at, _)| at);
        places.find(begins).map_or(0, |at| self.held.len() - at)
    }

    /// What is held back, once nothing follows.
    pub(super) fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of a text, piece by piece, and what it ends with.
    fn shown(stops: &[&str], text: &str) -> (Vec<String>, Option<String>) {
        let texts: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut stops = Stops::new(texts);
        let mut pieces = vec![];
        for character in text.chars() {
            let found = stops.take(character);
            pieces.push(found.shown);
            if let Some(stop) = found.stop {
                return (pieces, Some(stop));
            }
        }
        pieces.push(stops.rest());
        (pieces, None)
    }

    #[test]
    fn the_first_text_that_is_whole_ends_it_and_is_not_shown() {
        let whole = |stops: &[&str], text: &str| {
            let (pieces, stop) = shown(stops, text);
            (pieces.concat(), stop.unwrap_or_default())
        };
        let told = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            whole(&["end"], "the ene end of it"),
            told("the ene ", "end")
        );
        assert_eq!(whole(&["of", "end"], "the end of"), told("the ", "end"));
        assert_eq!(whole(&["aab"], "aaab"), told("a", "aab"));
        assert_eq!(whole(&["b", "ab"], "xab"), told("x", "ab"));
        assert_eq!(whole(&["é\n"], "éé\n"), told("é", "é\n"));
        // A beginning that comes to nothing is shown, at the latest behind all.
        assert_eq!(whole(&["never"], "nev nev"), told("nev nev", ""));
        assert_eq!(whole(&[], "abc"), told("abc", ""));
    }

    #[test]
    fn only_what_may_be_a_beginning_is_held_back() {
        let (pieces, _) = shown(&["abc"], "xaby");
        assert_eq!(pieces, ["x", "", "", "aby", ""]);
    }
}
