//! Python's pickle format, read as data: a pickle is a program for a stack machine, and this machine can only build
//! values. It imports nothing and calls nothing; what a call would have made stays a [`Node::Made`] with the names in it.
//!
//! Values lie in one flat list and refer to each other by position, so that nothing here recurses, a value that is used
//! twice is not copied, and memory stays within a small multiple of the bytes read.

mod machine;

use crate::import::error::{ImportProblem, Result};

/// Position of a value.
pub(super) type Id = usize;

/// A value.
#[derive(Debug, PartialEq)]
pub(super) enum Node<'a> {
    /// `None`, numbers with a point, bytes, lists and sets: nothing that describes a tensor.
    Other,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    /// A name that Python would import.
    Global {
        module: &'a str,
        name: &'a str,
    },
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A reference to something outside the pickle: the storages of tensors.
    Persistent(Id),
    /// What a call of `callable` would have made, with the items that were set on it (ordered dictionaries and the like).
    Made {
        callable: Id,
        args: Id,
        items: Vec<(Id, Id)>,
    },
}

/// All values of a pickle.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    root: Id,
}

impl<'a> Pickle<'a> {
    /// Runs the program.
    ///
    /// # Errors
    /// [`ImportProblem::Pickle`] at the first byte that makes no sense.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        match machine::run(bytes) {
            Ok((nodes, root)) => Ok(Self { nodes, root }),
            Err((at, message)) => Err(ImportProblem::Pickle { at, message }),
        }
    }

    pub(super) fn root(&self) -> Id {
        self.root
    }

    pub(super) fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id]
    }

    pub(super) fn text(&self, id: Id) -> Option<&'a str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn tuple(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::Tuple(parts) => Some(parts),
            _ => None,
        }
    }

    /// Keys and values of a dictionary, or of an object that items were set on.
    pub(super) fn items(&self, id: Id) -> Option<&[(Id, Id)]> {
        match self.node(id) {
            Node::Dict(items) => Some(items),
            Node::Made { items, .. } if !items.is_empty() => Some(items),
            Node::Made { callable, .. } => self
                .global(*callable)
                .filter(|(module, name)| (*module, *name) == ("collections", "OrderedDict"))
                .map(|_| &[][..]),
            _ => None,
        }
    }

    /// Module and name.
    pub(super) fn global(&self, id: Id) -> Option<(&'a str, &'a str)> {
        match self.node(id) {
            Node::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// A number that counts something.
    pub(super) fn count(&self, id: Id) -> Option<usize> {
        match self.node(id) {
            Node::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    /// What a value is, for messages.
    pub(super) fn describe(&self, id: Id) -> String {
        match self.node(id) {
            Node::Other => "a value without a name".into(),
            Node::Bool(_) => "a truth value".into(),
            Node::Int(_) => "a number".into(),
            Node::Text(_) => "a text".into(),
            Node::Tuple(_) => "a tuple".into(),
            Node::Dict(_) => "a dictionary".into(),
            Node::Persistent(_) => "a bare storage".into(),
            Node::Global { module, name } => format!("the name `{module}.{name}`"),
            Node::Made { callable, .. } => match self.global(*callable) {
                Some((module, name)) => format!("an object of `{module}.{name}`"),
                None => "an object".into(),
            },
        }
    }
}
