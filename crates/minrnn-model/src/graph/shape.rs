//! What every operation takes, and the shape of its result.

use super::{Graph, Input, Law, Op, Param, Span, State, Value};
use crate::error::Result;

/// Channels, and the axes before them.
pub(super) type Shape = (usize, Span);

impl Graph {
    /// Shape of the result of `op` on `x`, or why it cannot be.
    pub(super) fn shape_of(&self, op: Op, x: &[Value]) -> Result<Shape> {
        self.check_operands(op, x)?;
        self.check_arity(op, x)?;
        let fail = |what: String| Err(self.shape_error(op.name(), what));
        if let Some(what) = self.wrong_in_fold(op, x) {
            return fail(what);
        }
        let (width, span) = x
            .first()
            .map_or((0, Span::Step), |v| (self.width(*v), self.span(*v)));
        match op {
            Op::Input => fail("is made by the graph only".into()),
            Op::Param { param } => self.shape_of_param(op, param),
            Op::Const { .. } => Ok((1, Span::Model { rows: 1 })),
            Op::Row { row } => match span {
                Span::Model { rows } if row < rows => Ok((width, Span::Model { rows: 1 })),
                Span::Model { rows } => fail(format!("takes row {row} of {rows}")),
                _ => fail(
                    "takes what is computed from parameters alone; this depends on the input"
                        .into(),
                ),
            },
            Op::Embed { table } => self.shape_of_embed(op, table, x[0]),
            Op::MatMul { transposed } => self.shape_of_product(op, x, transposed),
            Op::Binary(_) => self.shape_of_binary(op, x),
            Op::Reduce { .. } | Op::Repeat { .. } | Op::Narrow { .. } => {
                Ok((self.channels_of(op, width)?, span))
            }
            Op::Concat => {
                self.same_span(op, x)?;
                Ok((x.iter().map(|v| self.width(*v)).sum(), span))
            }
            Op::Delay { state, by } => self.shape_of_delay(op, x, state, by),
            Op::Conv { state } => self.shape_of_conv(op, x, state),
            Op::Limit { most } => self.shape_of_limit(op, x, most),
            Op::Recur { state, law } => self.shape_of_recurrence(op, x, state, law),
            Op::Attend { dropout, .. } if !(0.0..1.0).contains(&dropout) => {
                fail(format!("takes dropout in [0, 1), got {dropout}"))
            }
            Op::Attend { state, heads, .. } => self.shape_of_attention(op, x, state, heads),
            Op::Before { state } => Ok((self.state_spec(state).width, Span::Step)),
            Op::Fold { state } => self.shape_of_fold(op, x[0], state),
            Op::Dropout { p } if !(0.0..1.0).contains(&p) => {
                fail(format!("takes p in [0, 1), got {p}"))
            }
            Op::Dropout { .. } if span.is_model() => fail(
                "takes what depends on the input; this is computed from parameters alone".into(),
            ),
            Op::Last => {
                self.takes_steps(op, x)?;
                Ok((width, Span::Row))
            }
            Op::Dropout { .. } | Op::Affine { .. } | Op::Unary(_) => Ok((width, span)),
        }
    }

    /// Channels of what regroups, repeats or picks `width` channels.
    fn channels_of(&self, op: Op, width: usize) -> Result<usize> {
        let what = match op {
            Op::Reduce { group, .. } if group > 0 && width.is_multiple_of(group) => {
                return Ok(width / group);
            }
            Op::Reduce { group, .. } => {
                format!("cannot cut {width} channels into groups of {group}")
            }
            Op::Repeat { block, times }
                if block > 0 && times > 0 && width.is_multiple_of(block) =>
            {
                match width.checked_mul(times) {
                    Some(wide) => return Ok(wide),
                    None => format!("{times} times {width} channels are too many"),
                }
            }
            Op::Repeat { block, times } => {
                format!("cannot repeat {width} channels by blocks of {block}, {times} times")
            }
            Op::Narrow { start, len } => match start.checked_add(len) {
                Some(end) if len > 0 && end <= width => return Ok(len),
                _ => format!(
                    "takes channels {start}..{} of {width}",
                    start.saturating_add(len)
                ),
            },
            _ => return Ok(width),
        };
        Err(self.shape_error(op.name(), what))
    }

    fn check_arity(&self, op: Op, x: &[Value]) -> Result<()> {
        let arity = match op {
            Op::Param { .. } | Op::Const { .. } | Op::Before { .. } => 0,
            Op::Concat => x.len().max(1),
            Op::Binary(_) | Op::MatMul { .. } | Op::Conv { .. } => 2,
            Op::Recur { law, .. } => law.arity(),
            Op::Attend { .. } => 3,
            _ => 1,
        };
        if !matches!(op, Op::Input) && x.len() != arity {
            let what = format!("takes {arity} argument(s), got {}", x.len());
            return Err(self.shape_error(op.name(), what));
        }
        let tokens = matches!(self.input, Input::Tokens { .. });
        if tokens && !matches!(op, Op::Embed { .. }) && x.contains(&Value(0)) {
            let what = "cannot take token ids; embed them first";
            return Err(self.shape_error(op.name(), what));
        }
        Ok(())
    }

    fn shape_of_param(&self, op: Op, param: Param) -> Result<Shape> {
        let spec = self.param_spec(param);
        match spec.shape[..] {
            [width] => Ok((width, Span::Model { rows: 1 })),
            [rows, width] => Ok((width, Span::Model { rows })),
            ref other => {
                let what = format!("takes a vector or a matrix, `{}` is {other:?}", spec.name);
                Err(self.shape_error(op.name(), what))
            }
        }
    }

    fn shape_of_embed(&self, op: Op, table: Param, ids: Value) -> Result<Shape> {
        let spec = self.param_spec(table);
        let [rows, columns] = spec.shape[..] else {
            let what = format!("takes a matrix, `{}` is {:?}", spec.name, spec.shape);
            return Err(self.shape_error(op.name(), what));
        };
        match self.input {
            Input::Tokens { vocab } if vocab == rows && ids == Value(0) => {
                Ok((columns, Span::Step))
            }
            _ if ids != Value(0) && self.width(ids) == 1 && !self.span(ids).is_model() => {
                Ok((columns, self.span(ids)))
            }
            _ if ids != Value(0) => {
                let what = format!(
                    "takes token ids, or a number for each step that is computed; this has {} channels",
                    self.width(ids)
                );
                Err(self.shape_error(op.name(), what))
            }
            _ => {
                let what = format!("takes token ids below {rows}, the rows of its table");
                Err(self.shape_error(op.name(), what))
            }
        }
    }

    fn shape_of_product(&self, op: Op, x: &[Value], transposed: bool) -> Result<Shape> {
        let fail = |what: String| Err(self.shape_error(op.name(), what));
        let Span::Model { rows } = self.span(x[1]) else {
            return fail("takes a matrix that is computed from parameters alone; this one depends on the input".into());
        };
        let (width, columns) = (self.width(x[0]), self.width(x[1]));
        let (inputs, outputs) = if transposed {
            (columns, rows)
        } else {
            (rows, columns)
        };
        if inputs != width {
            return fail(format!("takes {inputs} channels, got {width}"));
        }
        Ok((outputs, self.span(x[0])))
    }

    fn shape_of_binary(&self, op: Op, x: &[Value]) -> Result<Shape> {
        let fail = |what: String| Err(self.shape_error(op.name(), what));
        let width = match (self.width(x[0]), self.width(x[1])) {
            (a, b) if a == b => a,
            (a, 1) => a,
            (1, b) => b,
            (a, b) => return fail(format!("takes equal widths, got {a} and {b}")),
        };
        let span = match (self.span(x[0]), self.span(x[1])) {
            (a, b) if a == b => a,
            (a, Span::Model { rows: 1 }) => a,
            (Span::Model { rows: 1 }, b) => b,
            (Span::Model { rows: a }, Span::Model { rows: b }) => {
                return fail(format!("takes equal rows, got {a} and {b}"));
            }
            (Span::Model { rows }, _) | (_, Span::Model { rows }) => {
                return fail(format!(
                    "takes one row of what is computed from parameters alone, got {rows}"
                ));
            }
            _ => return fail("mixes values with and without time".into()),
        };
        Ok((width, span))
    }

    fn shape_of_delay(&self, op: Op, x: &[Value], state: State, by: usize) -> Result<Shape> {
        self.takes_steps(op, x)?;
        let (s, width) = (self.state_spec(state), self.width(x[0]));
        match s.lag() {
            None if by == 1 && self.recurs(x[0], state) => Ok((width, Span::Step)),
            None => {
                let what = format!(
                    "of the state `{}` takes the recurrence of that state and by 1: what it was the step before",
                    s.name
                );
                Err(self.shape_error(op.name(), what))
            }
            Some(lag) if by <= lag && s.width == width => Ok((width, Span::Step)),
            _ => {
                let what = format!(
                    "by {by} of {width} channels does not fit the state `{}` of shape {:?}",
                    s.name,
                    s.shape()
                );
                Err(self.shape_error(op.name(), what))
            }
        }
    }

    fn shape_of_recurrence(&self, op: Op, x: &[Value], state: State, law: Law) -> Result<Shape> {
        self.takes_steps(op, x)?;
        let (s, widths) = (self.state_spec(state), x.iter().map(|v| self.width(*v)));
        let fits = match law {
            Law::Linear | Law::Max => widths.clone().all(|w| w == s.width),
            Law::Complex => s.width.is_multiple_of(2) && widths.clone().all(|w| w == s.width),
        };
        if s.lag().is_none() && fits {
            return Ok((s.width, Span::Step));
        }
        let widths: Vec<String> = widths.map(|w| w.to_string()).collect();
        let what = format!(
            "of {} channels{} does not fit the state `{}` of shape {:?}",
            widths.join(" and "),
            match law {
                Law::Complex => ", halves of real and imaginary parts,",
                Law::Linear | Law::Max => "",
            },
            s.name,
            s.shape()
        );
        Err(self.shape_error(op.name(), what))
    }

    fn shape_of_attention(&self, op: Op, x: &[Value], state: State, heads: usize) -> Result<Shape> {
        self.takes_steps(op, x)?;
        let fail = |what: String| Err(self.shape_error(op.name(), what));
        let [q, kv, n] = [x[0], x[1], x[2]].map(|v| self.width(v));
        if heads == 0 || !q.is_multiple_of(heads) {
            return fail(format!("cannot cut {q} channels into {heads} heads"));
        }
        if q.checked_mul(2) != Some(kv) {
            return fail(format!(
                "takes keys and values side by side, twice the {q} channels of q; got {kv}"
            ));
        }
        if n != 1 || !self.counts_steps(x[2].0) {
            return fail("takes the number of steps since the begin; see Graph::steps".into());
        }
        let s = self.state_spec(state);
        if s.lag().is_none() || s.width != kv {
            return fail(format!(
                "of {kv} channels does not fit the state `{}` of shape {:?}; it takes a window of keys and values",
                s.name,
                s.shape()
            ));
        }
        Ok((q, Span::Step))
    }

    fn shape_of_fold(&self, op: Op, x: Value, state: State) -> Result<Shape> {
        self.takes_steps(op, &[x])?;
        let (s, width) = (self.state_spec(state), self.width(x));
        if width == s.width {
            return Ok((width, Span::Step));
        }
        let what = format!(
            "of {width} channels does not fit the state `{}` of {}",
            s.name, s.width
        );
        Err(self.shape_error(op.name(), what))
    }

    /// Whether a value is the recurrence of a state.
    pub(super) fn recurs(&self, value: Value, state: State) -> bool {
        matches!(self.node(value).op, Op::Recur { state: s, .. } if s == state)
    }

    fn same_span(&self, op: Op, x: &[Value]) -> Result<()> {
        let first = self.span(x[0]);
        let Some(other) = x.iter().map(|v| self.span(*v)).find(|s| *s != first) else {
            return Ok(());
        };
        let what = if first.is_model() || other.is_model() {
            "mixes values of different rows; what is computed from parameters alone goes in by an elementwise operation"
        } else {
            "mixes values with and without time"
        };
        Err(self.shape_error(op.name(), what))
    }

    pub(super) fn takes_steps(&self, op: Op, x: &[Value]) -> Result<()> {
        let what = match x.iter().map(|v| self.span(*v)).find(|s| *s != Span::Step) {
            None => return Ok(()),
            Some(Span::Row) => "needs a time axis, but its argument is a last step",
            Some(_) => "needs a time axis, but its argument is computed from parameters alone",
        };
        Err(self.shape_error(op.name(), what))
    }
}
