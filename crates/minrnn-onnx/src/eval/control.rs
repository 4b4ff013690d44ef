//! Runs plans: nodes in order, If, Loop, Scan, functions.

mod scan;

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::array::Array;
use super::budget::Meter;
use super::plan::{Plan, Step, Work};
use super::rows::{nothing, stack};
use super::sides::At;
use super::value::Value;
use super::{EvalError, EvalErrorKind as Fault};
use crate::ir::DType;

/// Operations that a round of a Loop counts for each of its nodes beside those that the nodes do: about the time that it takes to
/// hand values over. A loop that does next to nothing and never ends is over as soon as one that computes.
const ROUND: usize = 1000;

/// Names that a graph sees: its own, and those around it.
#[derive(Default)]
pub(super) struct Scope<'a> {
    values: BTreeMap<String, Value>,
    /// Known before the run.
    constants: Option<&'a BTreeMap<String, Value>>,
    /// Inputs of a function that its call leaves out.
    absent: Vec<String>,
    outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        let own = self.values.get(name);
        own.or_else(|| self.constants.and_then(|c| c.get(name)))
            .or_else(|| self.outer.and_then(|o| o.get(name)))
    }

    fn lacks(&self, name: &String) -> bool {
        self.absent.contains(name) || self.outer.is_some_and(|o| o.lacks(name))
    }
}

/// One run of a session.
pub(super) struct Run<'a> {
    meter: &'a Meter,
    /// Keeps the values of the main graph.
    keep: bool,
    undecided: RefCell<Vec<String>>,
}

/// Outputs of a node.
type Made = Result<Vec<Value>, Fail>;

/// A fault of the node itself, or of one in its body that says where.
pub(super) enum Fail {
    Here(Fault),
    Below(EvalError),
}

impl From<Fault> for Fail {
    fn from(kind: Fault) -> Self {
        Self::Here(kind)
    }
}

impl From<EvalError> for Fail {
    fn from(e: EvalError) -> Self {
        Self::Below(e)
    }
}

impl<'a> Run<'a> {
    pub(super) fn new(meter: &'a Meter, keep: bool) -> Self {
        Self {
            meter,
            keep,
            undecided: RefCell::new(vec![]),
        }
    }

    pub(super) fn undecided(self) -> Vec<String> {
        self.undecided.into_inner()
    }

    fn undecide(&self, place: &str, what: &str) {
        const SHOWN: usize = 100;
        let mut all = self.undecided.borrow_mut();
        let text = format!("{place}: {what}");
        if all.len() < SHOWN && !all.contains(&text) {
            all.push(text);
        }
    }

    /// Values and outputs of a graph; the values are all that it made, or those that nothing freed.
    pub(super) fn plan(
        &self,
        plan: &Plan,
        given: Vec<(String, Value)>,
        outer: &Scope,
    ) -> Result<(BTreeMap<String, Value>, Vec<Value>), EvalError> {
        let mut scope = Scope {
            values: given.into_iter().collect(),
            constants: Some(&plan.constants),
            absent: vec![],
            outer: Some(outer),
        };
        let constants: u64 = plan.constants.values().map(Value::bytes).sum();
        let given: u64 = scope.values.values().map(Value::bytes).sum();
        let mut held = constants + given;
        self.meter.hold(held);
        for step in &plan.steps {
            let made = self.step(step, &scope).map_err(|e| match e {
                Fail::Here(kind) => kind.at(&step.place),
                Fail::Below(e) => EvalError {
                    place: format!("{}, {}", step.place, e.place),
                    ..e
                },
            })?;
            for (name, value) in step.node.outputs.iter().zip(made) {
                if !name.is_empty() {
                    let bytes = value.bytes();
                    self.meter.hold(bytes);
                    held += bytes;
                    scope.values.insert(name.clone(), value);
                }
            }
            for name in step.dead.iter().filter(|_| !self.keep) {
                if let Some(value) = scope.values.remove(name) {
                    let bytes = value.bytes();
                    self.meter.free(bytes);
                    held = held.saturating_sub(bytes);
                }
            }
        }
        let find = |name: &String| {
            let missing =
                || Fault::Model("is computed by no node".into()).at(format!("output {name}"));
            scope.get(name).cloned().ok_or_else(missing)
        };
        let outputs = plan.outputs.iter().map(find).collect::<Result<_, _>>()?;
        self.meter.free(held);
        Ok((scope.values, outputs))
    }

    fn step(&self, step: &Step, scope: &Scope) -> Made {
        let find = |name: &String| match name.is_empty() {
            true => Ok(None),
            false => match scope.get(name) {
                None if !scope.lacks(name) => Err(Fault::Model(format!(
                    "`{name}` is computed by no node before this one"
                ))),
                found => Ok(found),
            },
        };
        let inputs: Result<Vec<Option<&Value>>, Fault> =
            step.node.inputs.iter().map(find).collect();
        let inputs = inputs?;
        match &step.work {
            Work::Op(op) => {
                let at = At {
                    op,
                    node: &step.node,
                    opset: step.opset,
                    meter: self.meter,
                };
                let outcome = at.run(&inputs)?;
                if outcome.shape_on_edge {
                    self.undecide(&step.place, "the shape of its result hangs on rounding");
                }
                Ok(outcome.values)
            }
            Work::If { then, other } => self.branch(step, then, other, &inputs, scope),
            Work::Loop(body) => self.repeat(step, body, &inputs, scope),
            Work::Scan(body) => self.scan(step, body, &inputs, scope),
            Work::Function(body) => {
                let given = |i: usize| inputs.get(i).copied().flatten();
                let (there, absent): (Vec<usize>, Vec<usize>) =
                    (0..body.inputs.len()).partition(|i| given(*i).is_some());
                let around = Scope {
                    absent: absent.iter().map(|i| body.inputs[*i].clone()).collect(),
                    ..Scope::default()
                };
                let there = there
                    .into_iter()
                    .filter_map(|i| Some((body.inputs[i].clone(), given(i)?.clone())));
                Ok(self.plan(body, there.collect(), &around)?.1)
            }
        }
    }

    /// A boolean that steers.
    fn truth(&self, step: &Step, value: &Value) -> Result<bool, Fault> {
        let one = |a: &Array| match (a.dtype(), a.ints()) {
            (DType::Bool, Some([n])) => Ok(*n != 0),
            _ => Err(Fault::Type(format!(
                "the condition is {} of shape {:?}, wanted one boolean",
                a.dtype(),
                a.dims()
            ))),
        };
        let now = one(&value.stepwise)?;
        if let Some(other) = &value.other
            && one(other)? != now
        {
            self.undecide(&step.place, "its condition hangs on rounding");
        }
        Ok(now)
    }

    fn branch(
        &self,
        step: &Step,
        then: &Plan,
        other: &Plan,
        inputs: &[Option<&Value>],
        scope: &Scope,
    ) -> Made {
        self.plain(step, inputs.len(), 1)?;
        let condition = inputs[0].ok_or_else(|| Fault::input(0, "is missing"))?;
        let taken = if self.truth(step, condition)? {
            then
        } else {
            other
        };
        Ok(self.plan(taken, vec![], scope)?.1)
    }

    /// Control operators have as many inputs as that at most, and no attribute left.
    fn plain(&self, step: &Step, got: usize, most: usize) -> Result<(), Fault> {
        match step.node.attributes.first() {
            Some((name, _)) => Err(Fault::UnknownAttribute(name.clone())),
            None if got > most => Err(Fault::UnknownInput(most)),
            None if got == 0 => Err(Fault::input(0, "is missing")),
            None => Ok(()),
        }
    }

    fn repeat(&self, step: &Step, body: &Plan, inputs: &[Option<&Value>], scope: &Scope) -> Made {
        self.plain(step, inputs.len(), usize::MAX)?;
        let most = match inputs[0] {
            Some(v) => match v.stepwise.ints() {
                Some([n]) => Some((*n).clamp(0, i128::from(u64::MAX)) as u64),
                _ => return Err(Fault::input(0, "wanted one integer").into()),
            },
            None => None,
        };
        let mut go = match inputs.get(1).copied().flatten() {
            Some(v) => self.truth(step, v)?,
            None => true,
        };
        let mut states = carried(inputs.get(2..).unwrap_or(&[]), 2)?;
        let many = states.len();
        if body.inputs.len() != many + 2 || body.outputs.len() < many + 1 {
            return Err(shape_of_body(body, many + 2, many + 1).into());
        }
        let mut gathered: Vec<Vec<Value>> = vec![vec![]; body.outputs.len() - 1 - many];
        let mut t = 0u64;
        while go && most.is_none_or(|m| t < m) {
            let before = self.meter.spent();
            let begun = self.meter.spend(&[ROUND, 1 + body.steps.len()]);
            begun.map_err(|e| self.endless(e, t))?;
            let count = Array::of_i64s(vec![], std::iter::once(t as i64));
            let given = [count, Array::of_bools(vec![], std::iter::once(go))].map(Value::known);
            let given = given.into_iter().chain(states);
            let (_, outputs) = self.plan(
                body,
                body.inputs.iter().cloned().zip(given).collect(),
                scope,
            )?;
            let mut outputs = outputs.into_iter();
            let condition = outputs
                .next()
                .ok_or_else(|| Fault::Model("no condition".into()))?;
            go = self.truth(step, &condition)?;
            states = outputs.by_ref().take(many).collect();
            self.keep_rows(&mut gathered, outputs);
            t += 1;
            if let (1, Some(m)) = (t, most.filter(|_| go)) {
                let each = self.meter.spent() - before;
                // A condition may end it earlier: only what is certain is refused.
                let certain = body_condition_is_constant(body);
                self.meter.could(if certain {
                    each.saturating_mul(m - 1)
                } else {
                    0
                })?;
            }
        }
        let rows = if t == 0 && !gathered.is_empty() {
            let count = Array::of_i64s(vec![], std::iter::once(0));
            let given = [count, Array::of_bools(vec![], std::iter::once(true))].map(Value::known);
            let given = given.into_iter().chain(states.iter().cloned());
            let given = body.inputs.iter().cloned().zip(given).collect();
            let (_, outputs) = self.plan(body, given, scope).map_err(|e| no_shape(&e))?;
            let rows = outputs.iter().skip(1 + many).map(|v| nothing(v, 0));
            rows.collect::<Result<Vec<_>, _>>()?
        } else {
            let rows = gathered.into_iter().map(|all| stack(&all, 0, false));
            rows.collect::<Result<Vec<_>, _>>()?
        };
        Ok(states.into_iter().chain(rows).collect())
    }

    /// What the limit says of a loop that had so many rounds.
    fn endless(&self, fault: Fault, rounds: u64) -> Fault {
        match fault {
            Fault::Budget { .. } => Fault::Rounds {
                rounds,
                operations: self.meter.spent(),
            },
            other => other,
        }
    }

    fn keep_rows(&self, gathered: &mut [Vec<Value>], rows: impl Iterator<Item = Value>) {
        for (all, row) in gathered.iter_mut().zip(rows) {
            all.push(row);
        }
    }
}

fn shape_of_body(body: &Plan, inputs: usize, outputs: usize) -> Fault {
    let (has, gives) = (body.inputs.len(), body.outputs.len());
    Fault::Model(format!(
        "the body has {has} inputs and {gives} outputs, wanted {inputs} and at least {outputs}"
    ))
}

/// Whether the condition that a body gives is what it was given: then the loop runs as long as it may.
fn body_condition_is_constant(body: &Plan) -> bool {
    let (Some(given), Some(gives)) = (body.inputs.get(1), body.outputs.first()) else {
        return false;
    };
    let copies = |s: &Step| {
        s.node.op_type == "Identity"
            && s.node.inputs.first() == Some(given)
            && s.node.outputs.first() == Some(gives)
    };
    given == gives || body.constants.contains_key(gives) || body.steps.iter().any(copies)
}

fn carried(inputs: &[Option<&Value>], first: usize) -> Result<Vec<Value>, Fault> {
    let one = |(i, v): (usize, &Option<&Value>)| {
        v.cloned()
            .ok_or_else(|| Fault::input(first + i, "is left out"))
    };
    inputs.iter().enumerate().map(one).collect()
}

/// Where no step was run and what a step gives cannot be found out either.
fn no_shape(why: &EvalError) -> Fault {
    Fault::Shape(format!(
        "no step is run, and the shape of what the steps give is not known, since on zeros one fails: {why}"
    ))
}
