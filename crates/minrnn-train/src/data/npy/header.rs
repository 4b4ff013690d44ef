//! The header of an npy file: the few Python literals that numpy writes, without recursion.

use super::Item;

/// numpy's own limit.
const MAX_DIMS: usize = 64;

/// What a header says.
pub(super) struct Header {
    pub(super) item: Item,
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: String,
}

/// Reads `{'descr': .., 'fortran_order': .., 'shape': (..), }`.
pub(super) fn parse_header(text: &str) -> Result<Header, String> {
    let mut p = Parser { rest: text.trim() };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    p.expect('{')?;
    while !p.take('}') {
        let key = p.string()?;
        p.expect(':')?;
        match key {
            "descr" => descr = Some(p.string()?),
            "fortran_order" => fortran = Some(p.boolean()?),
            "shape" => shape = Some(p.shape()?),
            other => return Err(format!("npy header: unknown key '{other}'")),
        }
        if !p.take(',') {
            p.expect('}')?;
            break;
        }
    }
    p.end()?;
    let missing = |key: &str| format!("npy header: key '{key}' is missing");
    let dtype = descr.ok_or_else(|| missing("descr"))?;
    let item = Item::parse(dtype).ok_or_else(|| {
        format!("dtype '{dtype}' cannot be used; save as float32, float64, an integer type or (labels) texts of fixed length")
    })?;
    Ok(Header {
        item,
        fortran: fortran.ok_or_else(|| missing("fortran_order"))?,
        shape: shape.ok_or_else(|| missing("shape"))?,
        dtype: dtype.to_owned(),
    })
}

/// Reads the few Python literals that occur in a header.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn take(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) {
            Ok(())
        } else {
            Err(self.error(&format!("'{wanted}'")))
        }
    }

    fn error(&self, wanted: &str) -> String {
        let found: String = self.rest.chars().take(20).collect();
        format!("npy header: expected {wanted}, found '{found}'")
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.take('\'') {
            '\''
        } else if self.take('"') {
            '"'
        } else {
            return Err(self.error("a string (structured types cannot be used)"));
        };
        let (text, rest) = self
            .rest
            .split_once(quote)
            .ok_or_else(|| self.error("the end of a string"))?;
        self.rest = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        self.rest = self.rest.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(self.error("True or False"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut dims = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            if dims.len() == MAX_DIMS {
                return Err(format!("npy header: more than {MAX_DIMS} dimensions"));
            }
            dims.push(self.dim()?);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(dims)
    }

    fn dim(&mut self) -> Result<usize, String> {
        self.rest = self.rest.trim_start();
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.rest.split_at(digits);
        let dim = number.parse().map_err(|_| self.error("a dimension"))?;
        self.rest = rest;
        Ok(dim)
    }

    fn end(&self) -> Result<(), String> {
        if self.rest.trim().is_empty() {
            Ok(())
        } else {
            Err(self.error("the end of the header"))
        }
    }
}
