//! An array as read from a file: shape and values in row-major order.

/// Values of an [`Array`].
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Integers and booleans of any width.
    Ints(Vec<i64>),
    /// Floats; float64 is rounded to float32.
    Floats(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
}

/// A dense array in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes of the dimensions, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub values: Values,
    /// The type as written in the file, for messages.
    pub dtype: String,
}

impl Array {
    /// Whether the file has booleans, which are integers here.
    pub fn is_bool(&self) -> bool {
        self.dtype.trim_start_matches(['|', '<', '>', '=']) == "b1"
    }

    /// The values as float32; integers are rounded. `None` for texts.
    pub fn into_floats(self) -> Option<Vec<f32>> {
        match self.values {
            Values::Floats(values) => Some(values),
            Values::Ints(values) => Some(values.into_iter().map(|v| v as f32).collect()),
            Values::Texts(_) => None,
        }
    }
}
