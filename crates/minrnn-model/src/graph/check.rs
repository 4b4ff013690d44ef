//! What every operation takes, and what a finished graph must keep.

use super::{Graph, Input, Op, State, Value};
use crate::error::{ModelError, Result};

impl Graph {
    /// Channels of the result of `op` on `x`, or why it cannot be.
    pub(super) fn width_of(&self, op: Op, x: &[Value]) -> Result<usize> {
        let fail = |what: String| Err(self.shape_error(op.name(), what));
        let arity = match op {
            Op::Input => return fail("is made by the graph only".into()),
            Op::Concat => x.len().max(1),
            Op::Binary(_) | Op::Recur { .. } => 2,
            _ => 1,
        };
        if x.len() != arity {
            return fail(format!("takes {arity} argument(s), got {}", x.len()));
        }
        let tokens = matches!(self.input, Input::Tokens { .. });
        if tokens && !matches!(op, Op::Embed { .. }) && x.contains(&Value(0)) {
            return fail("cannot take token ids; embed them first".into());
        }
        let width = self.width(x[0]);
        let fits = |param: super::Param, shape: &[usize], wanted: &str| {
            let spec = self.param_spec(param);
            let ok = spec.shape == shape
                || (shape.len() == 1 && spec.shape.len() == 2 && spec.shape[1] == shape[0]);
            if ok {
                Ok(())
            } else {
                fail(format!(
                    "takes {wanted}, `{}` is {:?}",
                    spec.name, spec.shape
                ))
                .map(|_: usize| ())
            }
        };
        let rank2 = |param| match self.param_spec(param).shape[..] {
            [rows, columns] => Ok((rows, columns)),
            ref other => fail(format!(
                "takes a matrix, `{}` is {other:?}",
                self.param_spec(param).name
            ))
            .map(|_: usize| (0, 0)),
        };
        Ok(match op {
            Op::Input => unreachable!("refused above"),
            Op::Embed { table } => {
                let (rows, columns) = rank2(table)?;
                match self.input {
                    Input::Tokens { vocab } if vocab == rows && x[0] == Value(0) => columns,
                    _ => {
                        return fail(format!(
                            "takes token ids below {rows}, the rows of its table"
                        ));
                    }
                }
            }
            Op::MatMul { weight } => match rank2(weight)? {
                (rows, columns) if rows == width => columns,
                (rows, _) => return fail(format!("takes {rows} channels, got {width}")),
            },
            Op::AddVec { param, row } | Op::MulVec { param, row } => {
                fits(param, &[width], &format!("a row of {width}"))?;
                let shape = &self.param_spec(param).shape;
                let rows = if shape.len() == 2 { shape[0] } else { 1 };
                if row >= rows {
                    return fail(format!("takes row {row} of {rows}"));
                }
                width
            }
            Op::Binary(_) => {
                let other = self.width(x[1]);
                self.same_time(op, x)?;
                match (width, other) {
                    (a, b) if a == b => a,
                    (a, 1) => a,
                    (1, b) => b,
                    (a, b) => return fail(format!("takes equal widths, got {a} and {b}")),
                }
            }
            Op::Mean => 1,
            Op::Narrow { start, len } if len > 0 && start + len <= width => len,
            Op::Narrow { start, len } => {
                return fail(format!(
                    "takes channels {start}..{} of {width}",
                    start + len
                ));
            }
            Op::Concat => {
                self.same_time(op, x)?;
                x.iter().map(|v| self.width(*v)).sum()
            }
            Op::Delay { state, by } => {
                self.takes_time(op, x)?;
                let s = self.state_spec(state);
                match s.lag {
                    Some(lag) if by <= lag && s.width == width => width,
                    _ => {
                        return fail(format!(
                            "by {by} of {width} channels does not fit the state `{}` of shape {:?}",
                            s.name,
                            s.shape()
                        ));
                    }
                }
            }
            Op::Recur { state } => {
                self.takes_time(op, x)?;
                let s = self.state_spec(state);
                if s.lag.is_some() || s.width != width || self.width(x[1]) != width {
                    return fail(format!(
                        "of {width} and {} channels does not fit the state `{}` of shape {:?}",
                        self.width(x[1]),
                        s.name,
                        s.shape()
                    ));
                }
                width
            }
            Op::Dropout { p } if !(0.0..1.0).contains(&p) => {
                return fail(format!("takes p in [0, 1), got {p}"));
            }
            Op::Affine { mul, add } if !(mul.is_finite() && add.is_finite()) => {
                return fail(format!("takes finite numbers, got {mul} and {add}"));
            }
            Op::Last => {
                self.takes_time(op, x)?;
                width
            }
            Op::Dropout { .. } | Op::Affine { .. } | Op::Unary(_) => width,
        })
    }

    fn same_time(&self, op: Op, x: &[Value]) -> Result<()> {
        if x.iter()
            .all(|v| self.node(*v).timed == self.node(x[0]).timed)
        {
            return Ok(());
        }
        Err(self.shape_error(op.name(), "mixes values with and without time"))
    }

    fn takes_time(&self, op: Op, x: &[Value]) -> Result<()> {
        if x.iter().all(|v| self.node(*v).timed) {
            return Ok(());
        }
        Err(self.shape_error(
            op.name(),
            "needs a time axis, but its argument is a last step",
        ))
    }

    /// Every state has one user (a delay may be read at several lags, of one input); regions keep their inner values.
    pub(super) fn check(&self) -> Result<()> {
        if self.input_is_output() {
            return Err(self.shape_error("output", "is the input itself"));
        }
        (0..self.states.len()).try_for_each(|i| self.check_state(State(i)))?;
        for region in &self.regions {
            let inner = |v: &Value| region.nodes.contains(&v.0) && !region.outputs.contains(v);
            let outside = self
                .nodes
                .iter()
                .enumerate()
                .filter(|(i, _)| !region.nodes.contains(i));
            if outside.flat_map(|(_, n)| &n.inputs).any(inner) || inner(&self.output().value) {
                let first = self.nodes.get(region.nodes.start);
                let scope = first.map_or("", |n| n.scope.as_str());
                return Err(self.shape_error("region", format!("`{scope}` leaks an inner value")));
            }
        }
        Ok(())
    }

    fn input_is_output(&self) -> bool {
        self.output().value == Value(0)
    }

    fn check_state(&self, state: State) -> Result<()> {
        let name = self.state_spec(state).name.clone();
        let users: Vec<_> = self
            .nodes
            .iter()
            .filter(|n| n.op.state() == Some(state))
            .collect();
        let fail = |what: &str| {
            Err(ModelError::State {
                name: name.clone(),
                what: what.into(),
            })
        };
        match users[..] {
            [] => fail("is used by no operation"),
            [first, ref rest @ ..] => {
                let delay =
                    |n: &&super::Node| matches!(n.op, Op::Delay { .. }) && n.inputs == first.inputs;
                if rest.is_empty()
                    || (matches!(first.op, Op::Delay { .. }) && rest.iter().all(delay))
                {
                    return Ok(());
                }
                fail("is used by more than one recurrence, or delays different values")
            }
        }
    }
}
