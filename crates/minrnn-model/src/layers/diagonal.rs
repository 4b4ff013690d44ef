//! State spaces with a fixed complex diagonal: S4D, and H3 around one.

use super::{Activation, CausalConv, Mixer};
use crate::error::Result;
use crate::graph::{Fused, Graph, Law, Layer, Op, Param, StateInit, Unary, Value};
use crate::spec::{Init, Role};

/// Where the imaginary parts of the diagonal begin; the real ones are -1/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diagonal {
    /// S4D-Lin: `pi n`.
    Lin,
    /// S4D-Inv: `N / pi (N / (2n + 1) - 1)`.
    Inv,
}

/// The diagonal state space (S4D, arXiv 2206.11893): each of D channels has N / 2 complex numbers,
/// `h[n] = exp(s A[n]) h[n] + (exp(s A[n]) - 1) / A[n] x`, `y = 2 re sum_n C[n] h[n] + D x`: a zero-order hold of step size s, without the
/// low-rank terms of S4. A = -exp(A_log) + i A_im, `s = exp(log_dt)`.
/// Parameters, in the present scope: `log_dt [D]`, `A_log`, `A_im [D N / 2]`, `C [D N]`, `D [D]`; state `h [D N]`. Complex values are
/// `[re | im]`.
#[derive(Debug, Clone)]
pub struct Space {
    /// D.
    pub channels: usize,
    /// N, even.
    pub states: usize,
    /// First imaginary parts.
    pub diagonal: Diagonal,
    /// Smallest and largest step size that channels begin with.
    pub step: (f64, f64),
}

/// The diagonal state space as a mixer, its result through GELU as in the papers' layer. Its scope is `ssm`.
#[derive(Debug, Clone)]
pub struct S4d(
    /// The state space.
    pub Space,
);

/// H3 (arXiv 2212.14052): `q * space(shift(k) * v)`. The shift's state space has a response of as many steps as it has states; here its
/// taps are the parameter. Takes `[q | k | v]`. Parameters, in the scope `h3`: `shift.depthwise.weight [taps, D]`, those of the state space;
/// states `conv [taps - 1, D]`, `h [D N]`.
#[derive(Debug, Clone)]
pub struct H3 {
    /// The state space.
    pub space: Space,
    /// Steps that the shift sees.
    pub taps: usize,
}

impl Mixer for S4d {
    fn mix(&self, g: &mut Graph, x: Value, _: Option<Value>) -> Result<Value> {
        let y = g.scope("ssm", |g| g.apply(&self.0, x))?;
        g.apply(&Activation::Gelu, y)
    }
}

impl Mixer for H3 {
    /// k and v.
    fn along(&self) -> usize {
        2 * self.space.channels
    }
    fn mix(&self, g: &mut Graph, x: Value, _: Option<Value>) -> Result<Value> {
        let shift = CausalConv {
            kernel: self.taps,
            bias: false,
        };
        g.scope("h3", |g| {
            let [q, k, v] = g.split::<3>(x)?;
            let k = g.scope("shift", |g| g.apply(&shift, k))?;
            let kv = g.mul(k, v)?;
            let y = g.apply(&self.space, kv)?;
            g.mul(q, y)
        })
    }
}

/// Real and imaginary parts.
type Complex = [Value; 2];

/// From `[B, T, D]` to `[B, T, D]`.
impl Layer for Space {
    fn name(&self) -> &str {
        ""
    }
    fn fused(&self) -> Option<Fused> {
        Some(Fused::DiagonalScan {
            states: self.states,
        })
    }
    fn body(&self, g: &mut Graph, x: &[Value]) -> Result<Vec<Value>> {
        let (d, n, x) = (self.channels, self.states / 2, x[0]);
        let (decay, input) = self.held(g)?;
        let wide = g.repeat(x, 1, n)?;
        let b = input.map(|input| g.mul(wide, input));
        // The decay is the same at each step: nothing, and the row.
        let size = g.unary(Unary::Abs, wide)?;
        let below = g.unary(Unary::Neg, size)?;
        let nothing = g.unary(Unary::Relu, below)?;
        let a = decay.map(|decay| g.add(nothing, decay));
        let [a, b] = [a, b].map(|[re, im]| g.op(Op::Concat, &[re?, im?]));
        let h = g.recur("h", Law::Complex, &[a?, b?], StateInit::Zero)?;
        let [hr, hi] = g.split::<2>(h)?;
        let [cr, ci] = self.readout(g)?;
        let (re, im) = (g.mul(hr, cr)?, g.mul(hi, ci)?);
        let read = g.add(re, im)?;
        let y = g.sum(read, n)?;
        let skip = weight(g, "D", d, Init::Normal { std: 1.0 })?;
        let skip = g.read(skip)?;
        let past = g.mul(x, skip)?;
        Ok(vec![g.add(y, past)?])
    }
}

impl Space {
    /// `exp(z)` and `(exp(z) - 1) / A` of `z = s A`, in one row. With z = x + iy, `exp(z) - 1` is
    /// `expm1(x) cos y - 2 sin(y / 2)^2 + i exp(x) sin y`, and `expm1(x) = tanh(x / 2) (exp(x) + 1)`: exact where z is small, which step
    /// sizes of 0.001 make it.
    fn held(&self, g: &mut Graph) -> Result<(Complex, Complex)> {
        let (d, n) = (self.channels, self.states / 2);
        let (min, max) = self.step;
        let step = weight(g, "log_dt", d, Init::LogOfLogUniform { min, max })?;
        let step = g.read(step)?;
        let step = g.unary(Unary::Exp, step)?;
        let step = g.repeat(step, 1, n)?;
        let [re, im] = self.diagonal(g)?;
        let (x, y) = (g.mul(step, re)?, g.mul(step, im)?);
        let size = g.unary(Unary::Exp, x)?;
        let (cos, sin) = (g.unary(Unary::Cos, y)?, g.unary(Unary::Sin, y)?);
        let decay = [g.mul(size, cos)?, g.mul(size, sin)?];
        let half = g.affine(x, 0.5, 0.0)?;
        let half = g.unary(Unary::Tanh, half)?;
        let more = g.affine(size, 1.0, 1.0)?;
        let grown = g.mul(half, more)?;
        let grown = g.mul(grown, cos)?;
        let half = g.affine(y, 0.5, 0.0)?;
        let half = g.unary(Unary::Sin, half)?;
        let turned = g.mul(half, half)?;
        let turned = g.affine(turned, 2.0, 0.0)?;
        let less = [g.sub(grown, turned)?, decay[1]];
        let input = quotient(g, less, [re, im])?;
        Ok((decay, input))
    }

    /// A, in one row.
    fn diagonal(&self, g: &mut Graph) -> Result<Complex> {
        let (d, n) = (self.channels, self.states / 2);
        let log = weight(g, "A_log", d * n, Init::Constant(libm::log(0.5)))?;
        let log = g.read(log)?;
        let size = g.unary(Unary::Exp, log)?;
        let re = g.unary(Unary::Neg, size)?;
        let init = Init::Frequencies {
            count: n,
            inverse: self.diagonal == Diagonal::Inv,
        };
        let im = weight(g, "A_im", d * n, init)?;
        Ok([re, g.read(im)?])
    }

    /// What the parts of h are multiplied by: `2 re C`, `-2 im C`.
    fn readout(&self, g: &mut Graph) -> Result<Complex> {
        let wide = self.channels * self.states;
        let std = std::f64::consts::FRAC_1_SQRT_2;
        let c = weight(g, "C", wide, Init::Normal { std })?;
        let c = g.read(c)?;
        let [re, im] = g.split::<2>(c)?;
        Ok([g.affine(re, 2.0, 0.0)?, g.affine(im, -2.0, 0.0)?])
    }
}

/// `x / y`.
fn quotient(g: &mut Graph, [xr, xi]: Complex, [yr, yi]: Complex) -> Result<Complex> {
    let (r2, i2) = (g.mul(yr, yr)?, g.mul(yi, yi)?);
    let square = g.add(r2, i2)?;
    let (rr, ii) = (g.mul(xr, yr)?, g.mul(xi, yi)?);
    let (ir, ri) = (g.mul(xi, yr)?, g.mul(xr, yi)?);
    let (re, im) = (g.add(rr, ii)?, g.sub(ir, ri)?);
    Ok([g.div(re, square)?, g.div(im, square)?])
}

fn weight(g: &mut Graph, name: &str, width: usize, init: Init) -> Result<Param> {
    g.param(name, &[width], Role::Weight { init, decay: false })
}
