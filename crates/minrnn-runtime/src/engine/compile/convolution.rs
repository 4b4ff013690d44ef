//! Convolutions of a window along the steps, channel by channel, by taps that are constant: of one step, or of a sequence in blocks of
//! steps, whose kernel must be the taps, a step further on for each step of a block.

use std::rc::Rc;

use super::{Compiler, Outcome, attribute, int};
use crate::engine::constant::Constant;
use crate::engine::instr::Instr;
use crate::engine::length::Length;
use crate::engine::value::{Blocks, Elem, Extended, Flow, Phase, Value};
use crate::proto::NodeProto;

/// What a Conv says of itself.
struct Shape {
    group: i64,
    stride: i64,
    pads: [i64; 2],
}

impl Shape {
    fn of(node: &NodeProto) -> Result<Self, String> {
        let list = |name: &str| attribute(node, name).map(|a| &a.ints[..]);
        let stride = match list("strides") {
            None => 1,
            Some([n]) => *n,
            Some(_) => return Err("Conv along several axes".into()),
        };
        let pads = match list("pads") {
            None => [0, 0],
            Some([a, b]) => [*a, *b],
            Some(_) => return Err("Conv along several axes".into()),
        };
        if list("dilations").is_some_and(|d| d != [1]) {
            return Err("Conv of steps apart".into());
        }
        let group = int(node, "group").unwrap_or(1);
        Ok(Self {
            group,
            stride,
            pads,
        })
    }
}

impl<'a> Compiler<'a> {
    pub(super) fn conv(&mut self, node: &'a NodeProto) -> Outcome<'a> {
        let shape = Shape::of(node)?;
        let weight = self.constant(node, 1)?;
        match self.operand(node, 0)? {
            Value::Turned(x) => self.conv_of_steps(&x, &weight, &shape),
            Value::Flow(x) => {
                let window = self.turned.get(&x.at.reg);
                let window = window.cloned().ok_or("Conv of no window")?;
                self.conv_of_one(&window, &weight, &shape)
            }
            other => Err(format!("Conv of {}", other.kind())),
        }
    }

    /// One step: the window `[n, D]` times taps `[D, 1, n]`.
    fn conv_of_one(&mut self, window: &Flow, weight: &Constant, shape: &Shape) -> Outcome<'a> {
        let [n, d] = window.dims[..] else {
            return Err("Conv of no window".into());
        };
        let plain = shape.stride == 1 && shape.pads == [0, 0] && shape.group == d as i64;
        if weight.dims != [d, 1, n] || !plain || window.extent.is_some() {
            return Err("Conv of a window that is no sum over its steps".into());
        }
        let taps = taps(weight, d, 1, n)?;
        let y = self.result(window, Elem::F32, vec![d, 1])?;
        let instr = Instr::Conv {
            x: window.at,
            taps: taps.into(),
            carry: None,
            out: y.at.reg,
        };
        self.emit(window.phase, instr);
        Ok(vec![Value::Flow(y)])
    }

    /// A sequence with its past: blocks of K steps, a kernel of `n + K - 1` steps for each of them.
    fn conv_of_steps(&mut self, x: &Extended, weight: &Constant, shape: &Shape) -> Outcome<'a> {
        let (Some(steps), [d]) = (x.x.extent.clone(), &x.x.dims[..]) else {
            return Err("Conv of something other than steps".into());
        };
        let (d, n) = (*d, x.n + 1);
        let whole = steps.plus(&Length::of(x.n as i64))?;
        let block = usize::try_from(shape.stride).ok().filter(|k| *k > 0);
        let block = block.ok_or("Conv without a stride")?;
        let behind = [0, shape.stride - 1];
        let dims = [d.saturating_mul(block), 1, n.saturating_add(block - 1)];
        let fits = weight.dims == dims && shape.pads == behind && shape.group == d as i64;
        if !fits || x.extent != whole || x.x.phase != Phase::Rows {
            return Err("Conv of a sequence that is no sum over its steps".into());
        }
        let taps = taps(weight, d, block, n)?;
        let y = self.result(&x.x, Elem::F32, vec![d])?;
        let instr = Instr::Conv {
            x: x.x.at,
            taps: taps.into(),
            carry: Some(x.carry),
            out: y.at.reg,
        };
        self.emit(Phase::Rows, instr);
        let blocks = Blocks {
            y,
            steps: block,
            stage: 0,
        };
        Ok(vec![Value::Blocks(Rc::new(blocks))])
    }

    /// The axes of what a convolution in blocks gives, apart or together again.
    pub(super) fn reshape_blocks(&self, x: &Blocks, shape: &[Length]) -> Outcome<'a> {
        let (d, k) = (x.y.width() as i64, x.steps as i64);
        let numbers: Option<Vec<i64>> = shape.iter().map(Length::number).collect();
        let stage = match (x.stage, numbers.as_deref()) {
            (0, Some([0, channels, steps, -1])) if (*channels, *steps) == (d, k) => 1,
            (2, Some([0, -1, channels])) if *channels == d => 3,
            _ => return Err("Reshape of blocks of steps to something else".into()),
        };
        Ok(vec![staged(x, stage)])
    }

    pub(super) fn turn_blocks(&self, x: &Blocks, order: &[usize]) -> Outcome<'a> {
        match (x.stage, order) {
            (1, [0, 3, 2, 1]) => Ok(vec![staged(x, 2)]),
            _ => Err("Transpose of blocks of steps to something else".into()),
        }
    }

    /// The steps that there are of whole blocks.
    pub(super) fn slice_blocks(&self, x: &Blocks, from: &Length, to: &Length) -> Outcome<'a> {
        let steps = x.y.extent.as_ref().ok_or("no time axis")?;
        let all = to == steps || to == &self.t;
        if x.stage != 3 || from.number() != Some(0) || !all {
            return Err(format!("Slice {from}..{to} of blocks of steps"));
        }
        let extent = Some(to.clone());
        Ok(vec![Value::Flow(Flow {
            extent,
            ..x.y.clone()
        })])
    }

    /// Leaves out rows in another order that nothing reads.
    pub(super) fn without_unread(&mut self, kept: &[usize]) {
        let mut read = std::collections::BTreeSet::new();
        let written = |instr: &Instr| match instr {
            Instr::Pick { out, .. } => Some(*out),
            _ => None,
        };
        for instr in &mut self.body {
            let own = written(instr);
            instr.registers(&mut |r| {
                if Some(*r) != own {
                    read.insert(*r);
                }
            });
        }
        let unread =
            |i: &Instr| written(i).is_some_and(|r| !read.contains(&r) && !kept.contains(&r));
        self.body.retain(|i| !unread(i));
    }
}

fn staged<'a>(x: &Blocks, stage: u8) -> Value<'a> {
    let x = x.clone();
    Value::Blocks(Rc::new(Blocks { stage, ..x }))
}

/// The taps `[n, D]`, the oldest step's first, of a kernel `[D K, 1, n + K - 1]`: at the output k of a block they begin at k, and around
/// them are zeros.
fn taps(weight: &Constant, d: usize, block: usize, n: usize) -> Result<Vec<f32>, String> {
    let values = weight.f32s().filter(|_| weight.elem == Elem::F32);
    let values = values.ok_or("a kernel of another type than f32")?;
    let reach = n + block - 1;
    for (at, row) in values.chunks_exact(reach).enumerate() {
        let (channel, k) = (at / block, at % block);
        let first = &values[channel * block * reach..][..n];
        let mut zeros = row[..k].iter().chain(&row[k + n..]);
        let mut same = row[k..k + n].iter().zip(first);
        if zeros.any(|v| v.to_bits() != 0) || !same.all(|(a, b)| a.to_bits() == b.to_bits()) {
            return Err("Conv in blocks by other taps for each step".into());
        }
    }
    let tap = |i: usize| values[i % d * block * reach + i / d];
    Ok((0..n * d).map(tap).collect())
}
