//! Just enough of Rust's lexical structure to tell words from comments and strings.

/// A token with its line (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier, keyword or number.
    Word,
    /// The inside of a string.
    Text,
    /// One character of punctuation.
    Mark,
}

impl Token {
    pub(super) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

/// All tokens; comments, character literals and lifetimes are left out.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: source,
        line: 1,
        out: vec![],
    };
    while !lexer.rest.is_empty() {
        lexer.next();
    }
    lexer.out
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    out: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn take(&mut self, bytes: usize) -> &'a str {
        let (head, tail) = self.rest.split_at(bytes.min(self.rest.len()));
        self.line += head.matches('\n').count();
        self.rest = tail;
        head
    }

    fn push(&mut self, kind: Kind, bytes: usize) {
        let line = self.line;
        let text = self.take(bytes).to_owned();
        self.out.push(Token { kind, text, line });
    }

    fn next(&mut self) {
        let first = self.rest.chars().next().expect("not at the end");
        if self.rest.starts_with("//") {
            self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.block_comment();
        } else if let Some((prefix, hashes)) = raw_string(self.rest) {
            self.take(prefix);
            let close = format!("\"{}", "#".repeat(hashes));
            self.push(
                Kind::Text,
                self.rest.find(&close).unwrap_or(self.rest.len()),
            );
            self.take(close.len());
        } else if first == '"' {
            self.take(1);
            self.push(Kind::Text, quoted(self.rest, '"'));
            self.take(1);
        } else if first == '\'' {
            self.quote();
        } else if first == '_' || first.is_alphanumeric() {
            let word = |c: char| c == '_' || c.is_alphanumeric();
            self.push(
                Kind::Word,
                self.rest.find(|c| !word(c)).unwrap_or(self.rest.len()),
            );
        } else if first.is_whitespace() {
            self.take(first.len_utf8());
        } else {
            self.push(Kind::Mark, first.len_utf8());
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.take(2);
            } else {
                self.take(self.rest.chars().next().map_or(0, char::len_utf8));
            }
            if depth == 0 || self.rest.is_empty() {
                return;
            }
        }
    }

    /// A character literal, or a lifetime.
    fn quote(&mut self) {
        self.take(1);
        let mut chars = self.rest.chars();
        let (a, b) = (chars.next(), chars.next());
        if a == Some('\\') || b == Some('\'') {
            self.take(quoted(self.rest, '\'') + 1);
        } else {
            let word = |c: char| c == '_' || c.is_alphanumeric();
            self.take(self.rest.find(|c| !word(c)).unwrap_or(self.rest.len()));
        }
    }
}

/// Bytes before the closing quote, backslashes escaping.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices() {
        if c == quote && !escaped {
            return i;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// Length of the opening of a raw string, and its number of hashes.
fn raw_string(rest: &str) -> Option<(usize, usize)> {
    let prefix = ["r", "br", "cr"].into_iter().find(|p| {
        rest.strip_prefix(p)
            .is_some_and(|r| r.trim_start_matches('#').starts_with('"'))
    })?;
    let hashes = rest[prefix.len()..].find('"')?;
    Some((prefix.len() + hashes + 1, hashes))
}

#[test]
fn words_are_told_from_comments_and_strings() {
    let source = r##"
// unsafe
/* unsafe /* unsafe */ unsafe */ a
let s = "unsafe \" unsafe"; let r = r#"un " safe"#; let c = '"'; let q = '\''; fn f<'a>(x: &'a str) { b'x'; unsafe_ }
"##;
    let words: Vec<_> = tokens(source)
        .into_iter()
        .filter(|t| t.kind == Kind::Word)
        .collect();
    assert!(words.iter().all(|t| t.text != "unsafe"), "{words:?}");
    assert_eq!((words[0].text.as_str(), words[0].line), ("a", 3));
    assert_eq!(
        words.last().map(|t| (t.text.as_str(), t.line)),
        Some(("unsafe_", 4))
    );
    let texts: Vec<_> = tokens(source)
        .into_iter()
        .filter(|t| t.kind == Kind::Text)
        .map(|t| t.text)
        .collect();
    assert_eq!(texts, [r#"unsafe \" unsafe"#, "un \" safe"]);
    assert!(tokens("x = unsafe { y }").iter().any(|t| t.is("unsafe")));
}
