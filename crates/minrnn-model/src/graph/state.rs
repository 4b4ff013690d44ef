//! States: what a model remembers from one step to the next.

use super::Param;

/// What a state holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The last value of a feedback operation: `[width]`.
    Value,
    /// The last `lag` rows of an input, oldest first: `[lag, width]`.
    Window {
        /// How many.
        lag: usize,
    },
}

/// Where a state begins when the caller has none, and after a reset.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StateInit {
    /// All zeros.
    Zero,
    /// All the same; finite.
    Constant(f32),
    /// A learned vector `[width]`; each row of a window begins with it.
    Learned(Param),
}

/// A state: what an operation remembers from one step to the next, always f32 outside of the oracle.
#[derive(Debug, Clone, PartialEq)]
pub struct StateSpec {
    /// `{block}.{name}`, e.g. `0.h`; exported as `state.0.h` and `next_state.0.h`. A second state of one name in a block has names of its
    /// layers before it: `0.shift.conv`.
    pub name: String,
    /// Channels.
    pub width: usize,
    /// What it holds.
    pub holds: Holds,
    /// Where it begins.
    pub init: StateInit,
}

impl StateSpec {
    /// Rows of a window; `None` for the last value of a feedback operation.
    pub fn lag(&self) -> Option<usize> {
        match self.holds {
            Holds::Value => None,
            Holds::Window { lag } => Some(lag),
        }
    }
    /// Shape without the batch: `[width]`, or `[lag, width]`.
    pub fn shape(&self) -> Vec<usize> {
        match self.holds {
            Holds::Value => vec![self.width],
            Holds::Window { lag } => vec![lag, self.width],
        }
    }
    /// Values a row of the batch has.
    pub fn len(&self) -> usize {
        self.width * self.lag().unwrap_or(1)
    }
    /// Never: states hold at least one value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Initial values of a row of the batch; `learned`: those of the parameter, where they are learned.
    pub fn first<T: Copy + From<f32>>(&self, learned: impl FnOnce(Param) -> Vec<T>) -> Vec<T> {
        match self.init {
            StateInit::Zero => vec![T::from(0.0); self.len()],
            StateInit::Constant(c) => vec![T::from(c); self.len()],
            StateInit::Learned(p) => learned(p).repeat(self.lag().unwrap_or(1)),
        }
    }
    /// Name of the state's input in exported files.
    pub fn input_name(&self) -> String {
        format!("state.{}", self.name)
    }
    /// Name of the state's output in exported files.
    pub fn output_name(&self) -> String {
        format!("next_state.{}", self.name)
    }
}
