//! Functions of one and two arguments, sums and means.

use minrnn_model::graph::{Binary, Reduction};

use super::{FLOATS, call, code, int, run};
use crate::Elem;
use crate::cuda::{CudaError, Gpu, Result, View, need};
use crate::elementwise::{Map, binary, divisor, unary};

fn unknown(op: &'static str, name: &str) -> CudaError {
    CudaError::Value {
        op,
        problem: format!("{name} has no kernel"),
    }
}

/// Number, factor and summand, as the kernels take a function.
fn numbers(op: &'static str, f: Map) -> Result<(i32, f32, f32)> {
    match f {
        Map::Copy => Ok((0, 1.0, 0.0)),
        Map::Affine { mul, add } => Ok((1, mul as f32, add as f32)),
        Map::Softplus => Ok((11, 0.0, 0.0)),
        Map::Unary(f) => match unary(f) {
            Some(row) => Ok((row.1, 0.0, 0.0)),
            None => Err(unknown(op, f.name())),
        },
    }
}

fn number(op: &'static str, f: Binary) -> Result<i32> {
    match binary(f) {
        Some(row) => Ok(row.1),
        None => Err(unknown(op, f.name())),
    }
}

/// `y = f(x)`, or `y += f(x)` with `add`. `y` may be `x`.
///
/// # Errors
/// Views of different lengths, or no floats.
pub fn map(gpu: &Gpu, f: Map, x: View<'_>, y: View<'_>, add: bool) -> Result<()> {
    need("map", "x", x, &FLOATS, y.len())?;
    need("map", "y", y, &FLOATS, y.len())?;
    let (f, mul, plus) = numbers("map", f)?;
    let call = call(gpu, "map1_fwd")?.i32(f).f32(mul).f32(plus);
    let call = call.view(x).i32(code(x)).view(y).i32(code(y));
    run(gpu, call.i32(add.into()).i64(y.len() as i64), y.len())
}

/// `dx = f'(x) dy`, or added with `add`. `dx` may be `x` or `dy`.
///
/// # Errors
/// As [`map`].
pub fn map_grad(
    gpu: &Gpu,
    f: Map,
    x: View<'_>,
    dy: View<'_>,
    dx: View<'_>,
    add: bool,
) -> Result<()> {
    let n = dx.len();
    for (name, view) in [("x", x), ("dy", dy), ("dx", dx)] {
        need("map_grad", name, view, &FLOATS, n)?;
    }
    let (f, mul, _) = numbers("map_grad", f)?;
    let call = call(gpu, "map1_bwd")?.i32(f).f32(mul);
    let call = call.view(x).i32(code(x)).view(dy).i32(code(dy));
    let call = call.view(dx).i32(code(dx));
    run(gpu, call.i32(add.into()).i64(n as i64), n)
}

/// Width of an argument of `rows` rows: `width`, or 1.
fn argument(
    op: &'static str,
    name: &'static str,
    view: View<'_>,
    rows: usize,
    width: usize,
) -> Result<i32> {
    let own = if view.len() == rows { 1 } else { width };
    need(op, name, view, &FLOATS, rows * own)?;
    int(op, own)
}

/// `y = f(a, b)`, `y` `[rows, width]`; an argument `[rows, 1]` is repeated.
///
/// # Errors
/// Views of other lengths, or no floats.
pub fn map2(
    gpu: &Gpu,
    f: Binary,
    a: View<'_>,
    b: View<'_>,
    y: View<'_>,
    rows: usize,
    width: usize,
) -> Result<()> {
    let wa = argument("map2", "a", a, rows, width)?;
    let wb = argument("map2", "b", b, rows, width)?;
    need("map2", "y", y, &FLOATS, rows * width)?;
    let call = call(gpu, "map2_fwd")?.i32(number("map2", f)?);
    let call = call.view(a).i32(code(a)).i32(wa);
    let call = call.view(b).i32(code(b)).i32(wb).view(y).i32(code(y));
    run(
        gpu,
        call.i32(int("map2", width)?).i64(y.len() as i64),
        y.len(),
    )
}

/// Arguments and gradient of a [`map2`].
#[derive(Debug, Clone, Copy)]
pub struct Map2Grad<'a> {
    /// The function.
    pub f: Binary,
    /// Whose gradient: 0 or 1.
    pub which: usize,
    /// First argument.
    pub a: View<'a>,
    /// Second argument.
    pub b: View<'a>,
    /// Gradient of the result, `[rows, width]`.
    pub dy: View<'a>,
    /// Gradient of the argument, of its shape; of width 1: summed over the channels.
    pub dx: View<'a>,
    /// Whether to add to what `dx` holds.
    pub add: bool,
}

/// The gradient of one argument of [`map2`].
///
/// # Errors
/// As [`map2`].
pub fn map2_grad(gpu: &Gpu, g: Map2Grad<'_>, rows: usize, width: usize) -> Result<()> {
    const OP: &str = "map2_grad";
    let wa = argument(OP, "a", g.a, rows, width)?;
    let wb = argument(OP, "b", g.b, rows, width)?;
    need(OP, "dy", g.dy, &FLOATS, rows * width)?;
    let narrow = argument(OP, "dx", g.dx, rows, width)? == 1 && width != 1;
    let name = if narrow { "map2_bwd_row" } else { "map2_bwd" };
    let call = call(gpu, name)?.i32(number(OP, g.f)?).i32(g.which as i32);
    let call = call.view(g.a).i32(code(g.a)).i32(wa);
    let call = call.view(g.b).i32(code(g.b)).i32(wb);
    let call = call.view(g.dy).i32(code(g.dy)).view(g.dx).i32(code(g.dx));
    let call = call.i32(g.add.into()).i32(int(OP, width)?);
    if narrow {
        run(gpu, call.i64(rows as i64), rows * 32)
    } else {
        run(gpu, call.i64((rows * width) as i64), rows * width)
    }
}

/// `y = x + p` or `x * p`, p f32 `[width]`; added to y with `add`. `y` may be `x`.
///
/// # Errors
/// Views of other lengths or types.
#[allow(clippy::too_many_arguments, reason = "one view or number each")]
pub fn vec(
    gpu: &Gpu,
    multiply: bool,
    x: View<'_>,
    p: View<'_>,
    y: View<'_>,
    add: bool,
    rows: usize,
    width: usize,
) -> Result<()> {
    let n = rows * width;
    need("vec", "x", x, &FLOATS, n)?;
    need("vec", "p", p, &[Elem::F32], width)?;
    need("vec", "y", y, &FLOATS, n)?;
    let call = call(gpu, "vec_fwd")?
        .i32(multiply.into())
        .view(x)
        .i32(code(x));
    let call = call.view(p).view(y).i32(code(y)).i32(add.into());
    run(gpu, call.i32(int("vec", width)?).i64(n as i64), n)
}

/// Mean over the channels, `[rows, width]` to `[rows]`.
///
/// # Errors
/// Views of other lengths, or no floats.
pub fn reduce(
    gpu: &Gpu,
    kind: Reduction,
    x: View<'_>,
    y: View<'_>,
    rows: usize,
    width: usize,
) -> Result<()> {
    need("reduce", "x", x, &FLOATS, rows * width)?;
    need("reduce", "y", y, &FLOATS, rows)?;
    let call = call(gpu, "reduce_fwd")?
        .f32(divisor(kind, width))
        .view(x)
        .i32(code(x))
        .view(y)
        .i32(code(y));
    run(
        gpu,
        call.i32(int("reduce", width)?).i64(rows as i64),
        rows * 32,
    )
}

/// The gradient of [`reduce`]; added with `add`.
///
/// # Errors
/// As [`reduce`].
pub fn reduce_grad(
    gpu: &Gpu,
    kind: Reduction,
    dy: View<'_>,
    dx: View<'_>,
    add: bool,
    rows: usize,
    width: usize,
) -> Result<()> {
    let n = rows * width;
    need("reduce_grad", "dy", dy, &FLOATS, rows)?;
    need("reduce_grad", "dx", dx, &FLOATS, n)?;
    let call = call(gpu, "reduce_bwd")?.f32(divisor(kind, width));
    let call = call.view(dy).i32(code(dy));
    let call = call.view(dx).i32(code(dx)).i32(add.into());
    run(gpu, call.i32(int("reduce_grad", width)?).i64(n as i64), n)
}
