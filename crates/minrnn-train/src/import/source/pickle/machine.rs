//! The stack machine that a pickle is a program for.

use std::collections::BTreeMap;

use super::{Id, Node};

/// More values than any state_dict of a model needs; some 25 go to one tensor.
const MAX_NODES: usize = 1 << 20;

/// The error of a step, in words; the caller knows the place.
type Step<T> = Result<T, String>;

/// The machine.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: BTreeMap<usize, Id>,
}

/// Runs a program to its end: all values, and which of them it comes to. An error has the byte at which a step began.
pub(super) fn run(bytes: &[u8]) -> Result<(Vec<Node<'_>>, Id), (usize, String)> {
    let mut machine = Machine {
        bytes,
        at: 0,
        nodes: vec![],
        stack: vec![],
        marks: vec![],
        memo: BTreeMap::new(),
    };
    loop {
        let at = machine.at;
        match machine.step() {
            Ok(None) => {}
            Ok(Some(root)) => return Ok((machine.nodes, root)),
            Err(message) => return Err((at, message)),
        }
    }
}

impl<'a> Machine<'a> {
    fn take(&mut self, n: usize) -> Step<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let Some((taken, _)) = rest.split_at_checked(n) else {
            return Err(format!(
                "the file is cut off or damaged: {n} bytes are announced, {} follow",
                rest.len()
            ));
        };
        self.at += n;
        Ok(taken)
    }

    /// A little-endian number of `n` bytes, at most 8.
    fn number(&mut self, n: usize) -> Step<usize> {
        let value = self
            .take(n)?
            .iter()
            .rev()
            .fold(0_u64, |v, b| (v << 8) | u64::from(*b));
        usize::try_from(value).map_err(|_| format!("{value} is out of range"))
    }

    fn text(&mut self, n: usize) -> Step<&'a str> {
        let bytes = self.take(n)?;
        std::str::from_utf8(bytes).map_err(|_| "a text is not UTF-8".into())
    }

    fn line(&mut self) -> Step<&'a str> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|b| *b == b'\n');
        let line = self.text(end.ok_or("a line has no end")?)?;
        self.at += 1;
        Ok(line)
    }

    fn push(&mut self, node: Node<'a>) -> Step<()> {
        if self.nodes.len() == MAX_NODES {
            return Err(format!(
                "holds more than {MAX_NODES} values; save the model's state_dict alone"
            ));
        }
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
        Ok(())
    }

    /// The newest value, which must lie above the newest mark.
    fn pop(&mut self) -> Step<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.pop() {
            Some(id) if self.stack.len() >= floor => Ok(id),
            _ => Err("takes a value where none is".into()),
        }
    }

    fn top(&mut self) -> Step<Id> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(id)
    }

    fn above_mark(&mut self) -> Step<Vec<Id>> {
        let floor = self
            .marks
            .pop()
            .ok_or("takes values up to a mark where none is")?;
        Ok(self.stack.split_off(floor))
    }

    fn tuple(&mut self, n: usize) -> Step<()> {
        let mut parts = (0..n).map(|_| self.pop()).collect::<Step<Vec<_>>>()?;
        parts.reverse();
        self.push(Node::Tuple(parts))
    }

    /// Sets items on the value below them.
    fn set(&mut self, flat: &[Id]) -> Step<()> {
        let on = self.top()?;
        let (pairs, []) = flat.as_chunks::<2>() else {
            return Err("a key has no value".into());
        };
        match &mut self.nodes[on] {
            Node::Dict(items) | Node::Made { items, .. } => {
                items.extend(pairs.iter().map(|[key, value]| (*key, *value)));
                Ok(())
            }
            _ => Err("items are set on something that takes none".into()),
        }
    }

    fn remember(&mut self, slot: usize) -> Step<()> {
        let id = self.top()?;
        self.memo.insert(slot, id);
        if self.memo.len() > MAX_NODES {
            return Err(format!("remembers more than {MAX_NODES} values"));
        }
        Ok(())
    }

    fn recall(&mut self, slot: usize) -> Step<()> {
        let id = self
            .memo
            .get(&slot)
            .ok_or("recalls what was never remembered")?;
        self.stack.push(*id);
        Ok(())
    }

    /// A call that is not made.
    fn made(&mut self) -> Step<()> {
        let (args, callable) = (self.pop()?, self.pop()?);
        self.push(Node::Made {
            callable,
            args,
            items: vec![],
        })
    }

    /// One instruction; the value at the end of the program.
    fn step(&mut self) -> Step<Option<Id>> {
        let code = self.take(1)?[0];
        match code {
            b'.' => return self.pop().map(Some),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.above_mark()?),
            b'2' => {
                let id = self.top()?;
                self.stack.push(id);
            }
            b'N' | b']' | 0x8f => self.push(Node::Other)?,
            0x88 | 0x89 => self.push(Node::Bool(code == 0x88))?,
            b'K' | b'M' | b'J' | 0x8a => self.integer(code)?,
            b'G' => {
                self.take(8)?;
                self.push(Node::Other)?;
            }
            b'X' | 0x8c | 0x8d => {
                let n = self.number(width(code))?;
                let text = self.text(n)?;
                self.push(Node::Text(text))?;
            }
            b'B' | b'C' | 0x8e | 0x96 | b'T' | b'U' => {
                let n = self.number(width(code))?;
                self.take(n)?;
                self.push(Node::Other)?;
            }
            b')' => self.tuple(0)?,
            0x85..=0x87 => self.tuple(usize::from(code - 0x84))?,
            b't' => {
                let parts = self.above_mark()?;
                self.push(Node::Tuple(parts))?;
            }
            b'l' | 0x91 => {
                self.above_mark()?;
                self.push(Node::Other)?;
            }
            b'a' => drop(self.pop()?),
            b'e' | 0x90 => drop(self.above_mark()?),
            b'}' => self.push(Node::Dict(vec![]))?,
            b'd' => {
                let flat = self.above_mark()?;
                self.push(Node::Dict(vec![]))?;
                self.set(&flat)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let flat = self.above_mark()?;
                self.set(&flat)?;
            }
            b'q' | b'r' => {
                let slot = self.number(width(code))?;
                self.remember(slot)?;
            }
            0x94 => self.remember(self.memo.len())?,
            b'h' | b'j' => {
                let slot = self.number(width(code))?;
                self.recall(slot)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Node::Global { module, name })?;
            }
            0x93 => self.stack_global()?,
            b'R' | 0x81 => self.made()?,
            0x92 => {
                self.pop()?;
                self.made()?;
            }
            // An object's attributes: no weights are in those of a dictionary.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            other => {
                return Err(format!(
                    "instruction 0x{other:02x} is not one that PyTorch writes"
                ));
            }
        }
        Ok(None)
    }

    fn integer(&mut self, code: u8) -> Step<()> {
        let n = match code {
            0x8a => self.number(1)?,
            _ => width(code),
        };
        if n > 8 {
            self.take(n)?;
            return self.push(Node::Other);
        }
        let unsigned = code == b'K' || code == b'M' || n == 0;
        let bits = self
            .take(n)?
            .iter()
            .rev()
            .fold(0_i64, |v, b| (v << 8) | i64::from(*b));
        let shift = if unsigned { 0 } else { 64 - 8 * n as u32 };
        self.push(Node::Int((bits << shift) >> shift))
    }

    fn stack_global(&mut self) -> Step<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (&self.nodes[module], &self.nodes[name]) {
            (Node::Text(module), Node::Text(name)) => {
                let (module, name) = (*module, *name);
                self.push(Node::Global { module, name })
            }
            _ => Err("a name to import is not a text".into()),
        }
    }
}

/// Bytes of the number behind an instruction.
fn width(code: u8) -> usize {
    match code {
        b'X' | b'B' | b'T' | b'J' | b'r' | b'j' => 4,
        0x8d | 0x8e | 0x96 => 8,
        b'M' => 2,
        _ => 1,
    }
}
