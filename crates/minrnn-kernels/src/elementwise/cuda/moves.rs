//! What moves values and computes nothing: columns, delays, last steps, rows.

use super::{FLOATS, call, code, int, run};
use crate::cuda::{CudaError, Gpu, Result, View, need};
use crate::{Elem, Size};

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

/// Sizes of a delay: `[B,T,W]`, the steps that the state holds, and by how many steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    /// `[B,T,W]`.
    pub size: Size,
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
        Ok(self.size.elements())
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
    delay: Delay,
) -> Result<()> {
    const OP: &str = "delay";
    let n = delay.elements(OP)?;
    need(OP, "x", x, &FLOATS, n)?;
    need(OP, "y", y, &FLOATS, n)?;
    if let Some(state) = state {
        let len = delay.size.b * delay.lag * delay.size.d;
        need(OP, "state", state, &[Elem::F32], len)?;
    }
    let call = call(gpu, "delay_fwd")?.view(x).i32(code(x)).opt(state);
    let call = call.view(y).i32(code(y));
    let call = call.i32(int(OP, delay.size.t)?).i32(int(OP, delay.size.d)?);
    let call = call.i32(int(OP, delay.lag)?).i32(int(OP, delay.by)?);
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
    delay: Delay,
) -> Result<()> {
    const OP: &str = "delay_grad";
    let n = delay.elements(OP)?;
    need(OP, "dy", dy, &FLOATS, n)?;
    need(OP, "dx", dx, &FLOATS, n)?;
    let (time, width) = (int(OP, delay.size.t)?, int(OP, delay.size.d)?);
    let (lag, by) = (int(OP, delay.lag)?, int(OP, delay.by)?);
    let first = call(gpu, "delay_bwd")?.view(dy).i32(code(dy));
    let first = first.view(dx).i32(code(dx)).i32(add.into());
    run(gpu, first.i32(time).i32(width).i32(by).i64(n as i64), n)?;
    let Some(dstate) = dstate else { return Ok(()) };
    need(
        OP,
        "dstate",
        dstate,
        &[Elem::F32],
        delay.size.b * delay.lag * delay.size.d,
    )?;
    let reached = delay.size.b * delay.by.min(delay.size.t) * delay.size.d;
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
    Size {
        b: batch,
        t: time,
        d: width,
    }: Size,
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

/// `average += share (x - average)` of f32, all of x where `share` is 1; nothing where the latch (u32 `[4]`) holds a trouble;
/// that a step was left out is none.
///
/// # Errors
/// Views of other lengths or types.
pub fn average(
    gpu: &Gpu,
    x: View<'_>,
    average: View<'_>,
    share: f32,
    latch: View<'_>,
) -> Result<()> {
    const OP: &str = "average";
    let n = x.len();
    need(OP, "x", x, &[Elem::F32], n)?;
    need(OP, "average", average, &[Elem::F32], n)?;
    need(OP, "latch", latch, &[Elem::U32], 4)?;
    let call = call(gpu, "average")?.view(x).view(average).f32(share);
    run(gpu, call.view(latch).i64(n as i64), n)
}

/// The last `lag` rows of each sequence of x `[B,T,W]`, f32 `[B,lag,W]`; where it has fewer, those of `before`, or zeros.
///
/// # Errors
/// Views of other lengths or types.
pub fn keep(
    gpu: &Gpu,
    x: View<'_>,
    before: Option<View<'_>>,
    y: View<'_>,
    size: Size,
    lag: usize,
) -> Result<()> {
    const OP: &str = "keep";
    let n = size.b * lag * size.d;
    need(OP, "x", x, &FLOATS, size.b * size.t * size.d)?;
    need(OP, "y", y, &[Elem::F32], n)?;
    if let Some(before) = before {
        need(OP, "before", before, &[Elem::F32], n)?;
    }
    let call = call(gpu, "keep")?.view(x).i32(code(x)).opt(before).view(y);
    let call = call.i32(int(OP, size.t)?).i32(int(OP, size.d)?);
    run(gpu, call.i32(int(OP, lag)?).i64(n as i64), n)
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
    Size {
        b: batch,
        t: time,
        d: width,
    }: Size,
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
