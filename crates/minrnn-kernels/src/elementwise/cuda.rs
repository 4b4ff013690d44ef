//! Primitives on CUDA: one element a thread, any mixture of element types, arithmetic in f32.

use crate::Elem;
use crate::cuda::{Call, CudaError, Gpu, Memory, Module, Result, View, need};

/// Types that these kernels read and write.
const FLOATS: [Elem; 3] = [Elem::F32, Elem::Bf16, Elem::F16];
const THREADS: u32 = 256;

/// A function of one argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Map1 {
    /// x.
    Copy,
    /// `x * mul + add`, the product rounded first.
    Affine {
        /// Factor.
        mul: f32,
        /// Summand.
        add: f32,
    },
    /// `-x`
    Neg,
    /// `|x|`
    Abs,
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `e^x`
    Exp,
    /// Square root.
    Sqrt,
    /// Error function.
    Erf,
}

impl Map1 {
    fn code(self) -> (i32, f32, f32) {
        match self {
            Self::Copy => (0, 1.0, 0.0),
            Self::Affine { mul, add } => (1, mul, add),
            Self::Neg => (2, 0.0, 0.0),
            Self::Abs => (3, 0.0, 0.0),
            Self::Relu => (4, 0.0, 0.0),
            Self::Sigmoid => (5, 0.0, 0.0),
            Self::Tanh => (6, 0.0, 0.0),
            Self::Exp => (7, 0.0, 0.0),
            Self::Sqrt => (8, 0.0, 0.0),
            Self::Erf => (9, 0.0, 0.0),
        }
    }
}

/// A function of two arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Map2 {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a b`
    Mul,
    /// `a / b`
    Div,
    /// The smaller one; where both are equal, the slope goes to a.
    Min,
}

fn code(view: View<'_>) -> i32 {
    match view.elem() {
        Elem::Bf16 => 1,
        Elem::F16 => 2,
        Elem::F32 | Elem::U32 => 0,
    }
}

/// Blocks for `threads` threads; kernels loop over what is left.
fn grid(gpu: &Gpu, threads: usize) -> (u32, u32, u32) {
    let most = gpu.multiprocessors() as usize * 16;
    let blocks = threads.div_ceil(THREADS as usize).clamp(1, most);
    (blocks as u32, 1, 1)
}

fn call<'a>(gpu: &'a Gpu, name: &str) -> Result<Call<'a>> {
    Call::new(gpu, Module::Elementwise, name)
}

fn run(gpu: &Gpu, call: Call<'_>, threads: usize) -> Result<()> {
    call.launch(grid(gpu, threads), (THREADS, 1, 1), 0)
}

fn int(op: &'static str, value: usize) -> Result<i32> {
    i32::try_from(value).map_err(|_| CudaError::Value {
        op,
        problem: format!("{value} is beyond the sizes that kernels take"),
    })
}

/// `y = f(x)`, or `y += f(x)` with `add`. `y` may be `x`.
///
/// # Errors
/// Views of different lengths, or no floats.
pub fn map1(gpu: &Gpu, f: Map1, x: View<'_>, y: View<'_>, add: bool) -> Result<()> {
    need("map1", "x", x, &FLOATS, y.len())?;
    need("map1", "y", y, &FLOATS, y.len())?;
    let (f, mul, plus) = f.code();
    let call = call(gpu, "map1_fwd")?.i32(f).f32(mul).f32(plus);
    let call = call.view(x).i32(code(x)).view(y).i32(code(y));
    run(gpu, call.i32(add.into()).i64(y.len() as i64), y.len())
}

/// `dx = f'(x) dy`, or added with `add`. `dx` may be `x` or `dy`.
///
/// # Errors
/// As [`map1`].
pub fn map1_grad(
    gpu: &Gpu,
    f: Map1,
    x: View<'_>,
    dy: View<'_>,
    dx: View<'_>,
    add: bool,
) -> Result<()> {
    let n = dx.len();
    for (name, view) in [("x", x), ("dy", dy), ("dx", dx)] {
        need("map1_grad", name, view, &FLOATS, n)?;
    }
    let (f, mul, _) = f.code();
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
    f: Map2,
    a: View<'_>,
    b: View<'_>,
    y: View<'_>,
    rows: usize,
    width: usize,
) -> Result<()> {
    let wa = argument("map2", "a", a, rows, width)?;
    let wb = argument("map2", "b", b, rows, width)?;
    need("map2", "y", y, &FLOATS, rows * width)?;
    let call = call(gpu, "map2_fwd")?.i32(f as i32);
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
    pub f: Map2,
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
    let call = call(gpu, name)?.i32(g.f as i32).i32(g.which as i32);
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
pub fn mean(gpu: &Gpu, x: View<'_>, y: View<'_>, rows: usize, width: usize) -> Result<()> {
    need("mean", "x", x, &FLOATS, rows * width)?;
    need("mean", "y", y, &FLOATS, rows)?;
    let call = call(gpu, "mean_fwd")?
        .view(x)
        .i32(code(x))
        .view(y)
        .i32(code(y));
    run(
        gpu,
        call.i32(int("mean", width)?).i64(rows as i64),
        rows * 32,
    )
}

/// The gradient of [`mean`]; added with `add`.
///
/// # Errors
/// As [`mean`].
pub fn mean_grad(
    gpu: &Gpu,
    dy: View<'_>,
    dx: View<'_>,
    add: bool,
    rows: usize,
    width: usize,
) -> Result<()> {
    let n = rows * width;
    need("mean_grad", "dy", dy, &FLOATS, rows)?;
    need("mean_grad", "dx", dx, &FLOATS, n)?;
    let call = call(gpu, "mean_bwd")?.view(dy).i32(code(dy));
    let call = call.view(dx).i32(code(dx)).i32(add.into());
    run(gpu, call.i32(int("mean_grad", width)?).i64(n as i64), n)
}

/// Columns of a matrix `[rows, stride]`.
#[derive(Debug, Clone, Copy)]
pub struct Columns<'a> {
    /// All of it.
    pub view: View<'a>,
    /// Elements in a row.
    pub stride: usize,
    /// First column.
    pub from: usize,
}

/// Copies `width` columns, or adds them with `add`.
///
/// # Errors
/// Columns that do not lie in their matrix.
pub fn copy_columns(
    gpu: &Gpu,
    from: Columns<'_>,
    to: Columns<'_>,
    add: bool,
    rows: usize,
    width: usize,
) -> Result<()> {
    const OP: &str = "copy_columns";
    for (name, columns) in [("from", from), ("to", to)] {
        need(OP, name, columns.view, &FLOATS, rows * columns.stride)?;
        if columns.from + width > columns.stride {
            let problem = format!(
                "`{name}` has {} columns, {width} from {} are no part of them",
                columns.stride, columns.from
            );
            return Err(CudaError::Value { op: OP, problem });
        }
    }
    let n = rows * width;
    let mut call = call(gpu, "copy_columns")?;
    for columns in [from, to] {
        call = call.view(columns.view).i32(code(columns.view));
        call = call.i64(columns.stride as i64).i64(columns.from as i64);
    }
    run(
        gpu,
        call.i32(add.into()).i32(int(OP, width)?).i64(n as i64),
        n,
    )
}

/// Sizes of a delay: B, T, W, the steps that the state holds, and by how many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// B.
    pub batch: usize,
    /// T.
    pub time: usize,
    /// W.
    pub width: usize,
    /// Steps in the state.
    pub lag: usize,
    /// Steps, at most `lag`.
    pub by: usize,
}

impl Delay {
    fn elements(self, op: &'static str) -> Result<usize> {
        if self.by > self.lag {
            let problem = format!("by {} of a state of {} steps", self.by, self.lag);
            return Err(CudaError::Value { op, problem });
        }
        Ok(self.batch * self.time * self.width)
    }
}

/// `y[t] = x[t - by]`, `[B,T,W]`; before the begin the state f32 `[B,lag,W]`, or zeros.
///
/// # Errors
/// Views of other lengths or types.
pub fn delay(
    gpu: &Gpu,
    x: View<'_>,
    state: Option<View<'_>>,
    y: View<'_>,
    size: Delay,
) -> Result<()> {
    const OP: &str = "delay";
    let n = size.elements(OP)?;
    need(OP, "x", x, &FLOATS, n)?;
    need(OP, "y", y, &FLOATS, n)?;
    if let Some(state) = state {
        let len = size.batch * size.lag * size.width;
        need(OP, "state", state, &[Elem::F32], len)?;
    }
    let call = call(gpu, "delay_fwd")?.view(x).i32(code(x)).opt(state);
    let call = call.view(y).i32(code(y));
    let call = call.i32(int(OP, size.time)?).i32(int(OP, size.width)?);
    let call = call.i32(int(OP, size.lag)?).i32(int(OP, size.by)?);
    run(gpu, call.i64(n as i64), n)
}

/// `dx[t] = dy[t + by]` (added with `add`); what reached the state is added to `dstate` f32 `[B,lag,W]`.
///
/// # Errors
/// As [`delay`].
pub fn delay_grad(
    gpu: &Gpu,
    dy: View<'_>,
    dx: View<'_>,
    dstate: Option<View<'_>>,
    add: bool,
    size: Delay,
) -> Result<()> {
    const OP: &str = "delay_grad";
    let n = size.elements(OP)?;
    need(OP, "dy", dy, &FLOATS, n)?;
    need(OP, "dx", dx, &FLOATS, n)?;
    let (time, width) = (int(OP, size.time)?, int(OP, size.width)?);
    let (lag, by) = (int(OP, size.lag)?, int(OP, size.by)?);
    let first = call(gpu, "delay_bwd")?.view(dy).i32(code(dy));
    let first = first.view(dx).i32(code(dx)).i32(add.into());
    run(gpu, first.i32(time).i32(width).i32(by).i64(n as i64), n)?;
    let Some(dstate) = dstate else { return Ok(()) };
    need(
        OP,
        "dstate",
        dstate,
        &[Elem::F32],
        size.batch * size.lag * size.width,
    )?;
    let reached = size.batch * size.by.min(size.time) * size.width;
    if reached == 0 {
        return Ok(());
    }
    let call = call(gpu, "delay_bwd_state")?
        .view(dy)
        .i32(code(dy))
        .view(dstate);
    let call = call.i32(time).i32(width).i32(lag).i32(by);
    run(gpu, call.i64(reached as i64), reached)
}

/// The last step of each row, `[B,T,W]` to `[B,W]`; with `lens` u32 `[B]` (each 1 to T, not checked here) step `lens - 1`.
///
/// # Errors
/// Views of other lengths or types.
pub fn last(
    gpu: &Gpu,
    x: View<'_>,
    lens: Option<View<'_>>,
    y: View<'_>,
    [batch, time, width]: [usize; 3],
) -> Result<()> {
    const OP: &str = "last";
    need(OP, "x", x, &FLOATS, batch * time * width)?;
    need(OP, "y", y, &FLOATS, batch * width)?;
    if let Some(lens) = lens {
        need(OP, "lens", lens, &[Elem::U32], batch)?;
    }
    let call = call(gpu, "last_fwd")?.view(x).i32(code(x)).opt(lens);
    let call = call.view(y).i32(code(y)).i32(int(OP, time)?);
    let n = batch * width;
    run(gpu, call.i32(int(OP, width)?).i64(n as i64), n)
}

/// The gradient of [`last`]: `dy` at the last step, zeros elsewhere; added with `add`.
///
/// # Errors
/// As [`last`].
pub fn last_grad(
    gpu: &Gpu,
    dy: View<'_>,
    lens: Option<View<'_>>,
    dx: View<'_>,
    add: bool,
    [batch, time, width]: [usize; 3],
) -> Result<()> {
    const OP: &str = "last_grad";
    let n = batch * time * width;
    need(OP, "dy", dy, &FLOATS, batch * width)?;
    need(OP, "dx", dx, &FLOATS, n)?;
    if let Some(lens) = lens {
        need(OP, "lens", lens, &[Elem::U32], batch)?;
    }
    let call = call(gpu, "last_bwd")?.view(dy).i32(code(dy)).opt(lens);
    let call = call.view(dx).i32(code(dx)).i32(add.into());
    let call = call.i32(int(OP, time)?).i32(int(OP, width)?);
    run(gpu, call.i64(n as i64), n)
}

/// `p` f32 `[width]` in each of `rows` rows of `y` f32.
///
/// # Errors
/// Views of other lengths or types.
pub fn repeat(gpu: &Gpu, p: View<'_>, y: View<'_>, rows: usize) -> Result<()> {
    let n = rows * p.len();
    need("repeat", "p", p, &[Elem::F32], p.len())?;
    need("repeat", "y", y, &[Elem::F32], n)?;
    let call = call(gpu, "repeat")?.view(p).view(y);
    run(gpu, call.i32(int("repeat", p.len())?).i64(n as i64), n)
}

/// Writes host values, rounded to the view's type.
///
/// # Errors
/// A view of another length, or no floats.
pub fn write(gpu: &Gpu, to: View<'_>, values: &[f32]) -> Result<()> {
    if to.elem() == Elem::F32 {
        return to.write(gpu, values);
    }
    need("write", "to", to, &FLOATS, values.len())?;
    let wide = Memory::from_slice(gpu, values)?;
    map1(gpu, Map1::Copy, wide.all(Elem::F32)?, to, false)?;
    gpu.synchronize()
}

/// Reads values of any float type.
///
/// # Errors
/// No floats.
pub fn read(gpu: &Gpu, from: View<'_>) -> Result<Vec<f32>> {
    if from.elem() == Elem::F32 {
        return from.read(gpu);
    }
    let wide = Memory::new(gpu, from.len() * 4)?;
    let view = wide.view(0, from.len(), Elem::F32)?;
    map1(gpu, Map1::Copy, from, view, false)?;
    view.read(gpu)
}
