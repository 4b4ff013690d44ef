//! Small graphs of every primitive, drawn from a list of numbers. What an operation refuses is left out.

use minrnn_model::Result;
use minrnn_model::graph::{
    Binary, FoldState, Graph, Holds, Input, Law, Op, OutputKind, Reduction, Span, State, StateInit,
    Unary, Value,
};
use minrnn_model::layers::{Feedback, Rnn};
use minrnn_model::params::{Init, Role};

/// One drawn operation: which, and on what.
pub(super) type Step = (u8, u16, u16, u16);

/// Widest value.
const WIDE: usize = 24;

/// A graph in the making, and the values that there are.
struct Draw<'a> {
    g: &'a mut Graph,
    all: Vec<Value>,
    count: usize,
}

pub(super) fn graph(tokens: bool, last: bool, steps: &[Step]) -> Graph {
    let input = match tokens {
        true => Input::Tokens { vocab: 5 },
        false => Input::Features { width: 3 },
    };
    let traced = Graph::trace(input, OutputKind::Values, |g, x| {
        let table = g.param("table", &[5, 6], weight(1.0))?;
        let x = match tokens {
            true => g.op(Op::Embed { table }, &[x])?,
            false => g.affine(x, 0.5, 0.25)?,
        };
        let mut draw = Draw {
            g,
            all: vec![x],
            count: 0,
        };
        if tokens {
            let table = draw.g.read(table)?;
            draw.all.push(table);
        }
        for step in steps {
            draw.step(*step);
        }
        draw.output(last)
    });
    traced.expect("what is refused is left out")
}

fn weight(bound: f64) -> Role {
    Role::Weight {
        init: Init::Uniform { bound },
        decay: false,
    }
}

/// Divisors of n.
fn divisor(n: usize, which: u16) -> usize {
    let all: Vec<usize> = (1..=n).filter(|d| n.is_multiple_of(*d)).collect();
    all[which as usize % all.len()]
}

impl Draw<'_> {
    fn pick(&self, which: u16) -> Value {
        // Rather a late one.
        let back = (which as usize).min(which as usize % 7);
        self.all[(self.all.len() - 1).saturating_sub(back)]
    }

    /// One that fits beside `x` in an elementwise operation.
    fn beside(&self, x: Value, which: u16) -> Value {
        let (w, span) = (self.g.width(x), self.g.span(x));
        let fits = |v: &&Value| {
            let (width, other) = (self.g.width(**v), self.g.span(**v));
            (width == w || width == 1 || w == 1)
                && (other == span || other == (Span::Model { rows: 1 }))
        };
        let all: Vec<&Value> = self.all.iter().filter(fits).collect();
        let at = which as usize % all.len().max(1);
        all.get(at).map_or(x, |v| **v)
    }

    fn step(&mut self, (kind, a, b, c): Step) {
        self.count += 1;
        let name = format!("s{}", self.count);
        let x = self.pick(a);
        let made = match kind % 16 {
            0 => self.unary(x, b),
            1 => self.binary(x, b, c),
            2 => {
                let kind = [Reduction::Sum, Reduction::Mean][c as usize % 2];
                let group = divisor(self.g.width(x), b);
                self.g.op(Op::Reduce { kind, group }, &[x])
            }
            3 | 4 => {
                let (block, times) = (divisor(self.g.width(x), b), 1 + c as usize % 3);
                self.g.repeat(x, block, times)
            }
            5 => {
                let start = b as usize % self.g.width(x);
                let len = 1 + c as usize % (self.g.width(x) - start);
                self.g.op(Op::Narrow { start, len }, &[x])
            }
            6 => {
                let y = self.pick(b);
                self.g.op(Op::Concat, &[x, y])
            }
            7 => self.parameter(&name, b, c),
            8 => self.product(&name, x, b, c),
            9 => self.recurrence(&name, x, b, c),
            10 => self.delay(&name, x, b, c),
            11 => self.convolution(&name, x, b, c),
            12 => self.attention(&name, x, b, c),
            13 => self.position(&name, x, b),
            // Seldom: it has no parallel form.
            14 if a.is_multiple_of(3) => self.fold(&name, x, b, c),
            _ => self.outer(x, b),
        };
        if let Ok(made) = made
            && self.g.width(made) <= WIDE
        {
            self.all.push(made);
        }
    }

    /// Functions where they are smooth and their values small.
    fn unary(&mut self, x: Value, which: u16) -> Result<Value> {
        let f = Unary::ALL[which as usize % Unary::ALL.len()];
        let x = match f {
            Unary::Exp => self.g.unary(Unary::Tanh, x)?,
            Unary::Log | Unary::Sqrt => {
                let size = self.g.unary(Unary::Abs, x)?;
                self.g.affine(size, 1.0, 1.0)?
            }
            _ => x,
        };
        self.g.unary(f, x)
    }

    fn binary(&mut self, x: Value, b: u16, c: u16) -> Result<Value> {
        let f = Binary::ALL[c as usize % Binary::ALL.len()];
        let mut y = self.beside(x, b);
        if f == Binary::Div {
            let size = self.g.unary(Unary::Abs, y)?;
            y = self.g.affine(size, 1.0, 1.0)?;
        }
        if f == Binary::Mul {
            y = self.g.unary(Unary::Tanh, y)?;
        }
        let (x, y) = if c.is_multiple_of(5) && f != Binary::Div {
            (y, x)
        } else {
            (x, y)
        };
        self.g.op(Op::Binary(f), &[x, y])
    }

    fn parameter(&mut self, name: &str, b: u16, c: u16) -> Result<Value> {
        let (rows, width) = (1 + b as usize % 4, 1 + c as usize % 6);
        let shape = match b % 3 {
            0 => vec![width],
            _ => vec![rows, width],
        };
        let param = self.g.param(name, &shape, weight(1.0))?;
        let whole = self.g.read(param)?;
        match b % 5 {
            0 => self.g.constant(0.75),
            1 | 2 if shape.len() == 2 => {
                let row = c as usize % rows;
                self.g.op(Op::Row { row }, &[whole])
            }
            _ => Ok(whole),
        }
    }

    fn product(&mut self, name: &str, x: Value, b: u16, c: u16) -> Result<Value> {
        let (k, n) = (self.g.width(x), 1 + b as usize % 6);
        let transposed = c.is_multiple_of(2);
        // A matrix that is there already, if one fits.
        let fits = |v: &&Value| match self.g.span(**v) {
            Span::Model { rows } if transposed => self.g.width(**v) == k && rows <= WIDE,
            Span::Model { rows } => rows == k,
            _ => false,
        };
        let known = self.all.iter().filter(fits).nth(c as usize % 3).copied();
        let w = match known {
            Some(w) => w,
            None => {
                let shape = if transposed { [n, k] } else { [k, n] };
                let param = self.g.param(name, &shape, weight(0.7))?;
                let w = self.g.read(param)?;
                if c.is_multiple_of(3) {
                    self.g.unary(Unary::Sin, w)?
                } else {
                    w
                }
            }
        };
        self.all.push(w);
        self.g.op(Op::MatMul { transposed }, &[x, w])
    }

    fn init(&mut self, name: &str, width: usize, which: u16) -> Result<StateInit> {
        Ok(match which % 3 {
            0 => StateInit::Zero,
            1 => StateInit::Constant(-0.75),
            _ => StateInit::Learned(self.g.param(
                &format!("{name}_begin"),
                &[width],
                weight(1.0),
            )?),
        })
    }

    fn recurrence(&mut self, name: &str, x: Value, b: u16, c: u16) -> Result<Value> {
        if self.g.span(x) != Span::Step {
            return self.unary(x, b);
        }
        let width = self.g.width(x);
        let y = self.beside(x, b);
        let a = self.g.add(x, y)?;
        let a = self.g.unary(Unary::Sigmoid, a)?;
        if self.g.width(a) != width {
            return Ok(a);
        }
        let law = Law::ALL[(c / 3) as usize % Law::ALL.len()];
        let (x, width) = match law {
            Law::Linear => (vec![a, x], width),
            Law::Max => (vec![x], width),
            Law::Complex => {
                // Below 1 in modulus.
                let a = self.g.affine(a, -0.625, 0.0)?;
                let parts = [[a, a], [x, a]].map(|parts| self.g.op(Op::Concat, &parts));
                let [a, x] = parts;
                (vec![a?, x?], 2 * width)
            }
        };
        let init = self.init(name, width, c)?;
        let name = name.to_owned();
        let h = self
            .g
            .block(0, |g| g.scope(name, |g| g.recur("h", law, &x, init)))?;
        if !c.is_multiple_of(5) {
            return Ok(h);
        }
        let before = self.g.before(h)?;
        self.g.sub(h, before)
    }

    /// One or two delays of a window; sometimes all of its rows.
    fn delay(&mut self, name: &str, x: Value, b: u16, c: u16) -> Result<Value> {
        if self.g.span(x) != Span::Step {
            return self.unary(x, b);
        }
        // Long ones are masked in another way.
        let lag = if b.is_multiple_of(3) {
            17
        } else {
            1 + b as usize % 5
        };
        let init = self.init(name, self.g.width(x), c)?;
        let (width, name) = (self.g.width(x), name.to_owned());
        let state: State = self.g.block(0, |g| {
            g.scope(name, |g| {
                g.state("conv", width, Holds::Window { lag }, init)
            })
        })?;
        let first = self.g.op(
            Op::Delay {
                state,
                by: 1 + c as usize % lag,
            },
            &[x],
        )?;
        let mut sum = first;
        if c.is_multiple_of(4) {
            for by in 0..=lag {
                let more = self.g.op(Op::Delay { state, by }, &[x])?;
                sum = self.g.add(sum, more)?;
            }
        }
        Ok(sum)
    }

    /// A convolution by taps of a parameter, as they are or made of it; sometimes limited to more steps than there are.
    fn convolution(&mut self, name: &str, x: Value, b: u16, c: u16) -> Result<Value> {
        if self.g.span(x) != Span::Step {
            return self.unary(x, b);
        }
        // Beyond a block of its lowering, and below.
        let rows = if b.is_multiple_of(3) {
            34
        } else {
            2 + b as usize % 4
        };
        let width = self.g.width(x);
        let taps = self
            .g
            .param(&format!("{name}_taps"), &[rows, width], weight(0.4))?;
        let mut taps = self.g.read(taps)?;
        if c.is_multiple_of(2) {
            taps = self.g.unary(Unary::Sin, taps)?;
        }
        let init = self.init(name, width, c)?;
        let name = name.to_owned();
        let holds = Holds::Window { lag: rows - 1 };
        self.g.block(0, |g| {
            g.scope(name, |g| {
                let state = g.state("conv", width, holds, init)?;
                let y = g.op(Op::Conv { state }, &[x, taps])?;
                if !c.is_multiple_of(5) {
                    return Ok(y);
                }
                let inside = g.limited("n", y, 1000)?;
                g.div(y, inside)
            })
        })
    }

    /// Over windows shorter and longer than most sequences.
    fn attention(&mut self, name: &str, x: Value, b: u16, c: u16) -> Result<Value> {
        let width = self.g.width(x);
        if self.g.span(x) != Span::Step || 2 * width > WIDE {
            return self.unary(x, b);
        }
        let k = self.g.unary(Unary::Tanh, x)?;
        let kv = self.g.op(Op::Concat, &[k, x])?;
        // Of 1, 4 or 16 channels, whose root is a whole number: the factor of scores is one of f32.
        let whole = |p: &usize| width.is_multiple_of(*p) && [1, 4, 16].contains(p);
        let all: Vec<usize> = (1..=width).filter(whole).collect();
        let heads = width / all[b as usize % all.len()];
        let lag = 1 + c as usize % 24;
        let (n, name) = (self.g.steps(x)?, name.to_owned());
        let g = &mut *self.g;
        g.block(0, |g| {
            g.scope(name, |g| g.attend("window", [x, kv, n], heads, lag))
        })
    }

    /// A row for the number of the step.
    fn position(&mut self, name: &str, x: Value, b: u16) -> Result<Value> {
        if self.g.span(x) != Span::Step {
            return self.unary(x, b);
        }
        let table = self.g.param(name, &[64, 1 + b as usize % 6], weight(1.0))?;
        let n = self.g.steps(x)?;
        let at = self.g.affine(n, 1.0, -1.0)?;
        self.g.op(Op::Embed { table }, &[at])
    }

    /// A fold of one or two states whose next values are some function of both.
    fn fold(&mut self, name: &str, x: Value, b: u16, c: u16) -> Result<Value> {
        if self.g.span(x) != Span::Step {
            return self.unary(x, b);
        }
        if c % 8 > 4 {
            return self.cell(name, x, b, c);
        }
        let (width, count) = (1 + b as usize % 5, 1 + c as usize % 2);
        let init = self.init(name, width, c)?;
        let mut states = vec![];
        for (name, init) in [("h", init), ("c", StateInit::Constant(0.25))] {
            states.push(FoldState { name, width, init });
        }
        states.truncate(count);
        let u = self.g.param(name, &[width, width], weight(0.5))?;
        let drive = self.g.mean_of_all(x)?;
        let f = [Unary::Tanh, Unary::Sigmoid, Unary::Sin][c as usize / 2 % 3];
        let name = name.to_owned();
        let mut inner = vec![];
        let made = self.g.block(0, |g| {
            g.scope(name, |g| {
                g.fold(&states, |g, before| {
                    let u = g.read(u)?;
                    let u = if b.is_multiple_of(3) {
                        g.unary(Unary::Sin, u)?
                    } else {
                        u
                    };
                    let moved = g.op(
                        Op::MatMul {
                            transposed: b.is_multiple_of(2),
                        },
                        &[before[0], u],
                    )?;
                    let sum = g.add(moved, drive)?;
                    let h = g.unary(f, sum)?;
                    inner.push(sum);
                    let Some(c) = before.get(1) else {
                        return Ok(vec![h]);
                    };
                    let late = g.mul(*c, h)?;
                    let wide = g.repeat(late, width, 2)?;
                    let wide = g.narrow(wide, 1, width)?;
                    inner.push(wide);
                    let next = g.affine(wide, 0.5, 0.125)?;
                    Ok(vec![h, next])
                })
            })
        })?;
        if c.is_multiple_of(5) {
            inner.push(self.g.before(made[0])?);
        }
        if b.is_multiple_of(2) {
            self.all.extend(inner);
        }
        self.all.extend(&made);
        self.g.op(Op::Concat, &made)
    }

    /// A cell that is one operator of ONNX's.
    fn cell(&mut self, name: &str, x: Value, b: u16, c: u16) -> Result<Value> {
        let layer = Rnn {
            kind: [Feedback::Gru, Feedback::Lstm][c as usize % 2],
            channels: 1 + b as usize % 5,
            bias: !b.is_multiple_of(3),
            learned_state: b.is_multiple_of(2),
            projection: c.is_multiple_of(3),
        };
        let name = name.to_owned();
        (self.g).block(0, |g| g.scope(name, |g| g.apply(&layer, x)))
    }

    /// An outer product of the channels of two values, summed over one of them.
    fn outer(&mut self, x: Value, b: u16) -> Result<Value> {
        let y = self.pick(b);
        let (n, m) = (self.g.width(x), self.g.width(y));
        if n * m > 4 * WIDE {
            return self.unary(x, b);
        }
        let each = self.g.repeat(x, 1, m)?;
        let tile = self.g.repeat(y, m, n)?;
        let wide = if b.is_multiple_of(2) {
            self.g.mul(each, tile)?
        } else {
            self.g.mul(tile, each)?
        };
        self.g.mean(wide, m)
    }

    /// The last few values side by side.
    fn output(mut self, last: bool) -> Result<Value> {
        let steps: Vec<Value> = self
            .all
            .iter()
            .rev()
            .copied()
            .filter(|v| self.g.span(*v) == Span::Step)
            .take(4)
            .collect();
        let mut y = self.g.op(Op::Concat, &steps)?;
        if last {
            y = self.g.op(Op::Last, &[y])?;
            self.all.push(y);
        }
        let other = self.beside(y, 1);
        self.g.max(y, other)
    }
}
