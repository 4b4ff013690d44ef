//! A tensor in closed form: each value as a term of steps, of all indices at once.

use super::moves::Piece;
use super::place::Place;
use super::term::Term;

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Closed {
    pub(super) dims: Vec<usize>,
    pub(super) what: What,
}

/// What all of its entries are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Term(Box<Term>),
    /// One number everywhere.
    Uniform(f32),
    /// Numbers that no step is made of: good for padding.
    Other,
}

impl Closed {
    pub(super) fn term(dims: Vec<usize>, term: &Term) -> Option<Self> {
        let what = match dims.contains(&0) {
            true => What::Other,
            false => What::Term(Box::new(term.settled(&dims)?)),
        };
        Some(Self { dims, what })
    }

    /// Another shape, and each place with it.
    pub(super) fn moved(
        &self,
        dims: Vec<usize>,
        change: impl Fn(&Place) -> Option<Place>,
    ) -> Result<Self, String> {
        match &self.what {
            What::Term(term) => {
                let term = term.each(change).and_then(|t| Self::term(dims, &t));
                term.ok_or_else(|| "steps that do not follow one another".into())
            }
            what => Ok(Self {
                dims,
                what: what.clone(),
            }),
        }
    }

    pub(super) fn spread(&self, dims: &[usize]) -> Result<Self, String> {
        self.moved(dims.into(), |p| p.lifted(dims.len()))
    }

    pub(super) fn cut(&self, pieces: &[Piece]) -> Result<Self, String> {
        let mut dims = self.dims.clone();
        for piece in pieces {
            *dims.get_mut(piece.axis).ok_or("a slice of another rank")? = piece.len;
        }
        self.moved(dims, |p| {
            let cut = |p: Place, piece: &Piece| {
                let start = i64::try_from(piece.start).ok()?;
                p.cut(piece.axis, start, i64::try_from(piece.every).ok()?)
            };
            pieces.iter().try_fold(p.clone(), cut)
        })
    }

    pub(super) fn words(&self) -> String {
        match &self.what {
            What::Term(term) => term.words().into(),
            What::Uniform(v) => format!("the number {v}"),
            What::Other => "other values".into(),
        }
    }
}
