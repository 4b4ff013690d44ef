//! The states of a batch of rows, as plain values that can be saved and given back.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::info::{Dtype, Form, Info, Init};
use crate::input::check_finite;

/// Names and shapes of the states, and the weights they belong to. The same for all forms of one model.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) weights_sha256: String,
    pub(crate) dtype: Dtype,
    pub(crate) slots: Vec<Slot>,
}

/// One named state of a [`Layout`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Product of `shape`.
    pub(crate) len: usize,
}

impl Layout {
    pub(crate) fn of(info: &Info) -> Self {
        let slot = |s: &crate::info::StateSpec| Slot {
            name: s.input.clone(),
            shape: s.shape.clone(),
            len: s.len(),
        };
        Self {
            weights_sha256: info.weights_sha256.clone(),
            dtype: info.dtype,
            slots: info.states.iter().map(slot).collect(),
        }
    }

    fn at(&self, name: &str) -> Option<usize> {
        self.slots.iter().position(|s| s.name == name)
    }
}

/// The named f32 states of `rows()` sequences, after any number of steps.
///
/// A state belongs to weights of one type, not to a file: what the parallel file returns goes into the step file of the same
/// export, and into no other model. Two states are equal if all their values are (`-0.0 == 0.0`, NaN never), whatever form
/// left them.
#[derive(Debug, Clone)]
pub struct State {
    pub(crate) layout: Arc<Layout>,
    pub(crate) form: Form,
    pub(crate) rows: usize,
    /// One `[rows, shape..]` tensor a slot, row-major.
    pub(crate) values: Vec<Vec<f32>>,
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        let same = Arc::ptr_eq(&self.layout, &other.layout) || self.layout == other.layout;
        same && self.rows == other.rows && self.values == other.values
    }
}

impl State {
    /// The state before the first step, `rows` times. `rows` is above 0.
    pub(crate) fn initial(layout: Arc<Layout>, info: &Info, rows: usize) -> Result<Self> {
        let mut values = Vec::with_capacity(info.states.len());
        for spec in &info.states {
            let too_many =
                || Error::input("batch", format!("{rows} rows are too many"), "use fewer");
            let total = spec.len().checked_mul(rows).ok_or_else(too_many)?;
            let mut tensor = Vec::new();
            tensor.try_reserve_exact(total).map_err(|_| too_many())?;
            match &spec.init {
                Init::Zero => tensor.resize(total, 0.0),
                Init::Values(row) => (0..rows).for_each(|_| tensor.extend_from_slice(row)),
            }
            values.push(tensor);
        }
        Ok(Self {
            layout,
            form: info.form,
            rows,
            values,
        })
    }

    /// The form of the file that left it, or began it.
    pub fn form(&self) -> Form {
        self.form
    }

    /// The type of the weights it belongs to.
    pub fn dtype(&self) -> Dtype {
        self.layout.dtype
    }

    /// B: how many sequences this is the state of.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// sha256 of the weights this state belongs to.
    pub fn weights_sha256(&self) -> &str {
        &self.layout.weights_sha256
    }

    /// The names of the states, in the model's order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layout.slots.iter().map(|s| s.name.as_str())
    }

    /// Shape of the state `name` without the batch.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.layout
            .at(name)
            .map(|at| self.layout.slots[at].shape.as_slice())
    }

    /// Values of the state `name`, `[rows, shape..]` row-major.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.layout.at(name).map(|at| self.values[at].as_slice())
    }

    /// Replaces the state `name` by `values`, `[rows, shape..]` row-major.
    ///
    /// # Errors
    /// [`Error::Input`] for a name the model has not, another number of values, or one that is not finite.
    pub fn set(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let Some(at) = self.layout.at(name) else {
            return Err(Error::input(
                name,
                "is no state of this model",
                "use a name of `names()`",
            ));
        };
        let wanted = self.values[at].len();
        if values.len() != wanted {
            let what = format!("{} values, this state holds {wanted}", values.len());
            return Err(Error::input(name, what, "give `rows()` times the shape"));
        }
        check_finite(name, values)?;
        self.values[at].copy_from_slice(values);
        Ok(())
    }

    /// The rows `rows`, in that order; a row may be taken twice (beams) or left out (finished sequences).
    ///
    /// # Errors
    /// [`Error::Input`] for no row at all, or one that is not there.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::input(
                "rows",
                "select nothing",
                "give at least one row",
            ));
        }
        if let Some(row) = rows.iter().find(|r| **r >= self.rows) {
            let what = format!("row {row} of a state of {} rows", self.rows);
            return Err(Error::input("rows", what, "give rows below `rows()`"));
        }
        let pick = |(values, slot): (&Vec<f32>, &Slot)| {
            let row = |r: &usize| &values[r * slot.len..(r + 1) * slot.len];
            rows.iter().flat_map(row).copied().collect()
        };
        let values = self
            .values
            .iter()
            .zip(&self.layout.slots)
            .map(pick)
            .collect();
        Ok(Self {
            layout: self.layout.clone(),
            form: self.form,
            rows: rows.len(),
            values,
        })
    }

    /// All rows of `states`, one under the other.
    ///
    /// # Errors
    /// [`Error::Input`] for no state at all, or states of different models.
    pub fn stack(states: &[&State]) -> Result<Self> {
        let Some((first, rest)) = states.split_first() else {
            return Err(Error::input(
                "states",
                "stack nothing",
                "give at least one state",
            ));
        };
        let mut all = State::clone(first);
        for state in rest {
            state.check_layout(&all.layout)?;
            all.rows += state.rows;
            for (to, from) in all.values.iter_mut().zip(&state.values) {
                to.extend_from_slice(from);
            }
        }
        Ok(all)
    }

    /// As a state of the model of `layout`, its tensors in that order: in a file they may stand in any.
    pub(crate) fn fitted(mut self, layout: &Arc<Layout>) -> Result<Self> {
        let places: Option<Vec<usize>> = layout
            .slots
            .iter()
            .map(|s| self.layout.at(&s.name))
            .collect();
        let count = self.layout.slots.len();
        if let Some(places) = places.filter(|p| p.len() == count) {
            let slot = |at: &usize| self.layout.slots[*at].clone();
            let ordered = Layout {
                weights_sha256: self.layout.weights_sha256.clone(),
                dtype: self.layout.dtype,
                slots: places.iter().map(slot).collect(),
            };
            self.values = places
                .iter()
                .map(|at| std::mem::take(&mut self.values[*at]))
                .collect();
            self.layout = Arc::new(ordered);
        }
        self.check_layout(layout)?;
        self.layout = layout.clone();
        Ok(self)
    }

    /// Whether this is a state of the model of `layout`.
    pub(crate) fn check_layout(&self, layout: &Arc<Layout>) -> Result<()> {
        if Arc::ptr_eq(&self.layout, layout) || self.layout == *layout {
            return Ok(());
        }
        let what = if self.layout.weights_sha256 != layout.weights_sha256 {
            format!(
                "belongs to weights {:.12}, not {:.12}",
                self.layout.weights_sha256, layout.weights_sha256
            )
        } else if self.layout.dtype != layout.dtype {
            let (own, other) = (self.layout.dtype, layout.dtype);
            format!(
                "belongs to weights of {}, not {}",
                own.as_str(),
                other.as_str()
            )
        } else {
            "has other names or shapes than the model".to_string()
        };
        Err(Error::input(
            "state",
            what,
            "give a state of this model, or start from its initial state",
        ))
    }

    /// Whether a run of `rows` rows of the model of `layout` may start from here.
    pub(crate) fn check(&self, layout: &Arc<Layout>, rows: usize) -> Result<()> {
        self.check_layout(layout)?;
        if self.rows != rows {
            let what = format!("holds {} rows, the input {rows}", self.rows);
            return Err(Error::input(
                "state",
                what,
                "give one row of state for each row of input",
            ));
        }
        let named = self.layout.slots.iter().zip(&self.values);
        named
            .into_iter()
            .try_for_each(|(slot, values)| check_finite(&slot.name, values))
    }
}
