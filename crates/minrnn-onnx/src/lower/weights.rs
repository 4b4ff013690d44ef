//! Products with parameters, in the type that the weights are stored in. Around them everything is f32: gates near 1 decide
//! how long a state lives, and half of f32's digits would end it after some two thousand steps.

use minrnn_model::graph::Param;

use super::Lower;
use crate::builder::Val;
use crate::choices::{Activations, Weights};
use crate::ir::DType;

/// Rows whose largest value is below this are taken for zero: their quotients would not be numbers.
const SMALLEST: f32 = 1e-30;

impl Lower<'_> {
    /// `x W`, `x [.., K]`, `W [K, N]`, or `[N, K]` and transposed; f32 in and out.
    pub(super) fn product(&mut self, weight: Param, transposed: bool, x: Val, axis: i64) -> Val {
        let stored = self.param(weight);
        match &self.options.weights {
            Weights::F32 => {
                let w = self.turned(stored, transposed);
                self.b.matmul(x, w)
            }
            _ if !self.is_narrow(weight) => {
                let w = self.turned(stored, transposed);
                self.b.matmul(x, w)
            }
            Weights::F16 => {
                let x = self.b.cast(x, DType::F16);
                let w = self.turned(stored, transposed);
                let y = self.b.matmul(x, w);
                self.b.cast(y, DType::F32)
            }
            Weights::Bf16 => {
                let wide = self.widened(weight, stored);
                let w = self.turned(wide, transposed);
                self.b.matmul(x, w)
            }
            Weights::Int8(activations) => {
                let name = &self.graph.param_spec(weight).name;
                let scale = match activations {
                    Activations::Row => self.row_scale(x, axis),
                    Activations::Static(largest) => self
                        .b
                        .f32(largest.get(name).copied().unwrap_or(1.0).max(SMALLEST) / 127.0),
                };
                let w = self.turned(stored, transposed);
                let scales = self.scales(weight);
                let columns = self.turned(scales, transposed);
                self.integer_product(w, columns, x, scale)
            }
        }
    }

    /// Whether it is stored in a narrower type: not what is read as a value too.
    fn is_narrow(&self, param: Param) -> bool {
        self.uses[param.index()].is_narrow()
    }

    /// A row of the table for each id; f32 out.
    pub(super) fn embed(&mut self, table: Param, ids: Val) -> Val {
        let stored = self.param(table);
        let row = self.b.gather(stored, ids, 0);
        match self.options.weights {
            Weights::F32 => row,
            _ if !self.is_narrow(table) => row,
            Weights::F16 | Weights::Bf16 => self.b.cast(row, DType::F32),
            Weights::Int8(_) => {
                let scales = self.scales(table);
                let scale = self.b.gather(scales, ids, 0);
                let steps = self.b.cast(row, DType::F32);
                let zero = self.b.f32(128.0);
                let steps = self.b.sub(steps, zero);
                self.b.mul(steps, scale)
            }
        }
    }

    /// Makes a parameter of bf16 f32, unless that is done or it is stored as f32.
    pub(super) fn widen(&mut self, param: Param) {
        if self.is_narrow(param) {
            let stored = self.param(param);
            self.widened(param, stored);
        }
    }

    /// bf16 as f32, once for each parameter.
    fn widened(&mut self, param: Param, stored: Val) -> Val {
        if let Some(wide) = self.wide.get(&param) {
            return *wide;
        }
        let wide = self.b.cast(stored, DType::F32);
        self.wide.insert(param, wide);
        wide
    }

    /// The largest magnitude of each row over 127, `[.., 1]`: a row's result depends on nothing but the row.
    fn row_scale(&mut self, x: Val, axis: i64) -> Val {
        let magnitude = self.b.abs(x);
        let largest = self.b.reduce_max(magnitude, axis);
        let smallest = self.b.f32(SMALLEST);
        let largest = self.b.max(largest, smallest);
        let steps = self.b.f32(127.0);
        self.b.div(largest, steps)
    }

    /// Both sides as u8 around 128: some engines' products of u8 and i8 saturate on older processors, those of u8 and u8 are exact.
    fn integer_product(&mut self, stored: Val, columns: Val, x: Val, scale: Val) -> Val {
        let b = &mut self.b;
        let steps = b.div(x, scale);
        let steps = b.round(steps);
        let (low, high, zero) = (b.f32(-127.0), b.f32(127.0), b.f32(128.0));
        let steps = b.max(steps, low);
        let steps = b.min(steps, high);
        let steps = b.add(steps, zero);
        let steps = b.cast(steps, DType::U8);
        let sum = b.matmul_integer(steps, stored);
        let sum = b.cast(sum, DType::F32);
        let y = b.mul(sum, scale);
        b.mul(y, columns)
    }
}
