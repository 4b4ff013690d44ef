//! Sums over rows: each block sums some of the rows, a second kernel the blocks, always in the same order.

use crate::Elem;
use crate::cuda::shape::{
    Columns, FLOATS, aligned, at_least_one, blocks, check_scratch, int, product,
};
use crate::cuda::{Call, Gpu, Module, Result, View, need};

const OP: &str = "column_sum";

/// Blocks that a multiprocessor gets.
const BLOCKS: usize = 4;
/// Rows that a thread loads before it adds the first.
const AHEAD: usize = 4;

pub(crate) fn most_blocks(gpu: &Gpu) -> usize {
    gpu.multiprocessors() as usize * BLOCKS
}

/// Elements of f32 scratch that [`sum`] needs for x `[n,w]`.
pub fn scratch_len(gpu: &Gpu, n: usize, w: usize) -> usize {
    most_blocks(gpu).min(n) * w
}

/// `out[j] = sum_i x[i,j]`, or added to what is there.
///
/// `x`: `[n,w]`, f32, bf16 or f16; `out`: f32 `[w]`; `scratch`: f32, [`scratch_len`]. No two may be the same memory.
/// The order of summation depends on the sizes and the GPU only.
///
/// # Errors
/// [`CudaError`](crate::cuda::CudaError) on other lengths or types, or where the launch fails.
pub fn sum(
    gpu: &Gpu,
    x: View<'_>,
    out: View<'_>,
    accumulate: bool,
    scratch: View<'_>,
    n: usize,
    w: usize,
) -> Result<()> {
    at_least_one(OP, &[("n", n), ("w", w)])?;
    need(OP, "x", x, &FLOATS, product(OP, &[n, w])?)?;
    need(OP, "out", out, &[Elem::F32], w)?;
    check_scratch(OP, scratch, scratch_len(gpu, n, w))?;
    let whole = 16 / x.elem().size();
    let vec = if w.is_multiple_of(whole) && aligned(&[x]) {
        whole
    } else {
        1
    };
    let columns = Columns::new(w / vec, 256);
    // Small inputs: enough rows a thread to load some ahead.
    let down = columns.down(n.div_ceil(AHEAD), most_blocks(gpu));
    let name = format!("column_sum_{}_v{vec}", x.elem().suffix());
    let shared = columns.x * columns.y * vec as u32 * 4;
    Call::new(gpu, Module::ColumnSum, &name)?
        .view(x)
        .view(scratch)
        .i64(n as i64)
        .i32(int(OP, "w", w)?)
        .early()
        .launch((columns.across, down, 1), columns.block(), shared)?;
    let parts = scratch.slice(0, down as usize * w)?;
    fold(gpu, OP, parts, down as usize, out, None, accumulate)
}

/// The second step: sums `parts` `[rows, first.len() + second.len()]` over the rows into `first` and `second`. Columns
/// behind those of `first` are left out if there is no second.
pub(crate) fn fold(
    gpu: &Gpu,
    op: &'static str,
    parts: View<'_>,
    rows: usize,
    first: View<'_>,
    second: Option<View<'_>>,
    accumulate: bool,
) -> Result<()> {
    let (width, split) = (parts.len() / rows, first.len());
    let used = second.map_or(split, |second| split + second.len());
    debug_assert!(used <= width && width * rows == parts.len());
    let y = (rows / 8).next_power_of_two().clamp(1, 32) as u32;
    let x = (256 / y).max(32);
    let grid = blocks(op, width.div_ceil(x as usize))?;
    Call::new(gpu, Module::ColumnSum, "column_fold")?
        .view(parts)
        .view(first)
        .opt(second)
        .i32(int(op, "the number of blocks", rows)?)
        .i64(width as i64)
        .i64(split as i64)
        .i32(i32::from(accumulate))
        .early()
        .launch((grid, 1, 1), (x, y, 1), 0)
}
