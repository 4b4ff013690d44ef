//! Primitives without a layer of their own: what they are, passes over memory on the CPU, and kernels for CUDA.
//!
//! [`slow`] is the definition. A new function of one or two arguments is a line here and a case in `elementwise.cu`.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod slow;

use minrnn_model::graph::{Binary, Reduction, Unary};

/// A function of one argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Map {
    /// x, perhaps in another type.
    Copy,
    /// `x * mul + add`, the product rounded first.
    Affine {
        /// Factor.
        mul: f64,
        /// Summand.
        add: f64,
    },
    /// A primitive.
    Unary(Unary),
    /// `ln(1 + e^x)`.
    Softplus,
}

/// A primitive, its number in `elementwise.cu`, and its value and slope.
type UnaryRow = (Unary, i32, fn(f64) -> (f64, f64));

const UNARY: [UnaryRow; 11] = [
    (Unary::Neg, 2, |x| (-x, -1.0)),
    (Unary::Abs, 3, slow::abs),
    (Unary::Relu, 4, slow::relu),
    (Unary::Sigmoid, 5, crate::activation::slow::sigmoid),
    (Unary::Tanh, 6, slow::tanh),
    (Unary::Exp, 7, |x| (libm::exp(x), libm::exp(x))),
    (Unary::Sqrt, 8, |x| (x.sqrt(), 0.5 / x.sqrt())),
    (Unary::Erf, 9, slow::erf),
    (Unary::Log, 10, |x| (libm::log(x), 1.0 / x)),
    (Unary::Sin, 12, |x| (libm::sin(x), libm::cos(x))),
    (Unary::Cos, 13, |x| (libm::cos(x), -libm::sin(x))),
];

/// The same of two arguments: value and slopes.
type BinaryRow = (Binary, i32, fn(f64, f64) -> (f64, [f64; 2]));

const BINARY: [BinaryRow; 6] = [
    (Binary::Add, 0, |a, b| (a + b, [1.0, 1.0])),
    (Binary::Sub, 1, |a, b| (a - b, [1.0, -1.0])),
    (Binary::Mul, 2, |a, b| (a * b, [b, a])),
    (Binary::Div, 3, |a, b| (a / b, [1.0 / b, -a / (b * b)])),
    (Binary::Min, 4, slow::min),
    (Binary::Max, 5, slow::max),
];

/// What a sum over `width` channels is divided by.
fn divisor(kind: Reduction, width: usize) -> f32 {
    match kind {
        Reduction::Sum => 1.0,
        Reduction::Mean => width as f32,
    }
}

fn unary(f: Unary) -> Option<&'static UnaryRow> {
    UNARY.iter().find(|row| row.0 == f)
}

fn binary(f: Binary) -> Option<&'static BinaryRow> {
    BINARY.iter().find(|row| row.0 == f)
}

/// Whether there is a kernel for a function of one argument.
pub fn has_unary(f: Unary) -> bool {
    unary(f).is_some()
}

/// Whether there is a kernel for a function of two arguments.
pub fn has_binary(f: Binary) -> bool {
    binary(f).is_some()
}
