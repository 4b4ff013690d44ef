//! One function an operator, as the builder's opset has it (13 to 28).

use super::{Builder, Val};
use crate::ir::{Attr, DType, Tensor};

/// "To the end" as the end of a slice.
pub const TO_END: i64 = i64::MAX;

/// Sequence of numbers in a name: `0_m1_16`, the largest number as `max`.
fn joined(values: &[i64], separator: &str) -> String {
    let one = |v: &i64| match *v {
        i64::MAX => "max".to_owned(),
        v if v < 0 => format!("m{}", v.unsigned_abs()),
        v => v.to_string(),
    };
    values.iter().map(one).collect::<Vec<_>>().join(separator)
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident = $op:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, x: Val) -> Val {
            self.node($op, &[x], vec![])
        }
    )*};
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident = $op:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, x: Val, y: Val) -> Val {
            self.node($op, &[x, y], vec![])
        }
    )*};
}

impl Builder {
    unary! {
        /// `-x`
        neg = "Neg";
        /// `|x|`
        abs = "Abs";
        /// `max(x, 0)`
        relu = "Relu";
        /// `e^x`
        exp = "Exp";
        /// Natural logarithm.
        log = "Log";
        /// Error function.
        erf = "Erf";
        /// Hyperbolic tangent.
        tanh = "Tanh";
        /// Square root.
        sqrt = "Sqrt";
        /// The engine's own `1 / (1 + e^-x)`; not every engine closes it for large |x|.
        sigmoid = "Sigmoid";
        /// The same value under another name.
        identity = "Identity";
        /// To the nearest integer, halves to the even one.
        round = "Round";
        /// Dimensions as a vector of i64.
        shape = "Shape";
    }

    binary! {
        /// `x + y`
        add = "Add";
        /// `x - y`
        sub = "Sub";
        /// `x * y`
        mul = "Mul";
        /// `x / y`; of integers: towards zero.
        div = "Div";
        /// The smaller one.
        min = "Min";
        /// The larger one.
        max = "Max";
        /// Matrix product over the last two axes.
        matmul = "MatMul";
        /// `x` repeated to the shape `y`.
        expand = "Expand";
    }

    /// A constant vector of i64.
    pub fn i64s(&mut self, values: &[i64]) -> Val {
        let name = format!("const.i64.{}", joined(values, "_"));
        self.constant(name, |name| {
            Tensor::i64(name, vec![values.len() as i64], values)
        })
    }

    /// A constant number.
    pub fn f32(&mut self, value: f32) -> Val {
        self.constant(format!("const.f32.{value:e}"), |name| {
            Tensor::f32(name, vec![], &[value])
        })
    }

    /// A constant byte.
    pub fn u8(&mut self, value: u8) -> Val {
        self.constant(format!("const.u8.{value}"), |name| {
            Tensor::bytes(name, DType::U8, vec![], vec![value])
        })
    }

    /// A constant tensor of f32, the same value everywhere.
    pub fn f32_filled(&mut self, dims: &[i64], value: f32) -> Val {
        let name = format!("const.f32.{value:e}.{}", joined(dims, "x"));
        let count = dims.iter().product::<i64>().max(0) as usize;
        self.constant(name, |name| {
            Tensor::f32(name, dims.to_vec(), &vec![value; count])
        })
    }

    /// A constant tensor of f32: whole numbers from `first` on, each `step` more.
    pub fn f32_range(&mut self, dims: &[i64], first: i64, step: i64) -> Val {
        let name = format!(
            "const.f32.range_{}.{}",
            joined(&[first, step], "_"),
            joined(dims, "x")
        );
        let count = dims.iter().product::<i64>().max(0);
        let values: Vec<f32> = (0..count).map(|i| (first + i * step) as f32).collect();
        self.constant(name, |name| Tensor::f32(name, dims.to_vec(), &values))
    }

    /// A constant tensor of i64, the same value everywhere.
    pub fn i64_filled(&mut self, dims: &[i64], value: i64) -> Val {
        let name = format!("const.i64.{}.{}", joined(&[value], "_"), joined(dims, "x"));
        let count = dims.iter().product::<i64>().max(0) as usize;
        self.constant(name, |name| {
            Tensor::i64(name, dims.to_vec(), &vec![value; count])
        })
    }

    /// A constant tensor of i64.
    pub fn i64_table(&mut self, dims: &[i64], values: &[i64]) -> Val {
        let name = format!("const.i64.{}.{}", joined(values, "_"), joined(dims, "x"));
        self.constant(name, |name| Tensor::i64(name, dims.to_vec(), values))
    }

    /// The constant `count - 1, .., 1, 0`.
    pub fn i64_falling(&mut self, count: i64) -> Val {
        self.constant(format!("const.i64.falling.{count}"), |name| {
            let values: Vec<i64> = (0..count).rev().collect();
            Tensor::i64(name, vec![count], &values)
        })
    }

    /// Entries of `x` along `axis`, by index.
    pub fn gather(&mut self, x: Val, indices: Val, axis: i64) -> Val {
        self.node("Gather", &[x, indices], vec![("axis", Attr::Int(axis))])
    }

    /// `x[start..end]` along `axis`; start and end are vectors of one i64.
    pub fn slice(&mut self, x: Val, start: Val, end: Val, axis: i64) -> Val {
        let axes = self.i64s(&[axis]);
        self.node("Slice", &[x, start, end, axes], vec![])
    }

    /// `x[start..end]` along `axis`; negative numbers count from the end, [`TO_END`] is the end.
    pub fn slice_at(&mut self, x: Val, start: i64, end: i64, axis: i64) -> Val {
        let (start, end) = (self.i64s(&[start]), self.i64s(&[end]));
        self.slice(x, start, end, axis)
    }

    /// `count` equal parts along `axis`.
    pub fn split(&mut self, x: Val, count: usize, axis: i64) -> Vec<Val> {
        let mut attributes = vec![("axis", Attr::Int(axis))];
        if self.opset >= 18 {
            attributes.push(("num_outputs", Attr::Int(count as i64)));
        }
        self.node_n("Split", &[x], count, attributes)
    }

    /// All of `x`, one after the other along `axis`.
    pub fn concat(&mut self, x: &[Val], axis: i64) -> Val {
        self.node("Concat", x, vec![("axis", Attr::Int(axis))])
    }

    /// `x` in another shape; 0 keeps a dimension, one -1 takes what is left.
    pub fn reshape(&mut self, x: Val, dims: &[i64]) -> Val {
        let dims = self.i64s(dims);
        self.reshape_to(x, dims)
    }

    /// `x` in the shape that `dims`, a vector of i64, says.
    pub fn reshape_to(&mut self, x: Val, dims: Val) -> Val {
        self.node("Reshape", &[x, dims], vec![])
    }

    /// Without the axis `axis`, which has one entry.
    pub fn squeeze(&mut self, x: Val, axis: i64) -> Val {
        let axes = self.i64s(&[axis]);
        self.node("Squeeze", &[x, axes], vec![])
    }

    /// With a new axis of one entry at `axis`. One axis at a time: an engine was found to insert several in the wrong order.
    pub fn unsqueeze(&mut self, x: Val, axis: i64) -> Val {
        let axes = self.i64s(&[axis]);
        self.node("Unsqueeze", &[x, axes], vec![])
    }

    /// Mean over `axis`, which stays with one entry.
    pub fn reduce_mean(&mut self, x: Val, axis: i64) -> Val {
        self.reduce("ReduceMean", x, axis)
    }

    /// Sum over `axis`, which stays with one entry.
    pub fn reduce_sum(&mut self, x: Val, axis: i64) -> Val {
        let axes = self.i64s(&[axis]);
        self.node("ReduceSum", &[x, axes], vec![("keepdims", Attr::Int(1))])
    }

    /// `y[i] = x[0] + .. + x[i]` along `axis`.
    pub fn cum_sum(&mut self, x: Val, axis: i64) -> Val {
        let axis = self.constant(format!("const.i64.{axis}.scalar"), |name| {
            Tensor::i64(name, vec![], &[axis])
        });
        self.node("CumSum", &[x, axis], vec![])
    }

    /// Largest value over `axis`, which stays with one entry.
    pub fn reduce_max(&mut self, x: Val, axis: i64) -> Val {
        self.reduce("ReduceMax", x, axis)
    }

    /// Axes are an attribute up to opset 17, an input from 18.
    fn reduce(&mut self, op: &'static str, x: Val, axis: i64) -> Val {
        let keep = ("keepdims", Attr::Int(1));
        if self.opset < 18 {
            let axes = ("axes", Attr::Ints(vec![axis]));
            return self.node(op, &[x], vec![axes, keep]);
        }
        let axes = self.i64s(&[axis]);
        self.node(op, &[x, axes], vec![keep])
    }

    /// `x` in another element type.
    pub fn cast(&mut self, x: Val, to: DType) -> Val {
        let to = ("to", Attr::Int(i64::from(to.code())));
        self.node("Cast", &[x], vec![to])
    }

    /// Axes in another order.
    pub fn transpose(&mut self, x: Val, order: &[i64]) -> Val {
        self.node(
            "Transpose",
            &[x],
            vec![("perm", Attr::Ints(order.to_vec()))],
        )
    }

    /// `y[i] = x` at the place that `indices[i]` names along `axis`, all other indices those of the result.
    pub fn gather_elements(&mut self, x: Val, indices: Val, axis: i64) -> Val {
        let axis = ("axis", Attr::Int(axis));
        self.node("GatherElements", &[x, indices], vec![axis])
    }

    /// Product of matrices of u8 with zero points 128, exact in i32.
    pub fn matmul_integer(&mut self, x: Val, y: Val) -> Val {
        let zero = self.u8(128);
        self.node("MatMulInteger", &[x, y, zero, zero], vec![])
    }

    /// `x` with `value` around it; `pads` are the counts before each axis, then those after each.
    pub fn pad(&mut self, x: Val, pads: &[i64], value: f32) -> Val {
        let (pads, value) = (self.i64s(pads), self.f32(value));
        self.node("Pad", &[x, pads, value], vec![])
    }
}
