//! A step of Muon for matrices of one shape at once: their products are batched.

use super::{COEFFICIENTS, EPS, ITERATIONS};
use crate::Elem;
use crate::cuda::shape::{at_least_one, blocks, check_scratch, int, need_opt, product};
use crate::cuda::{Call, CudaError, Gpu, Matmul, Module, Operand, Precision, Result, View, need};

const OP: &str = "muon";
/// Elements of a matrix that a block takes: as in the kernel.
const CHUNK: usize = 8192;

/// A matrix, its views of `rows * cols` elements each.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a> {
    /// f32.
    pub params: View<'a>,
    /// f32.
    pub grads: View<'a>,
    /// f32.
    pub momentum: View<'a>,
    /// bf16 or f16: gets the new values.
    pub shadow: Option<View<'a>>,
    /// Decay, times the learning rate.
    pub weight_decay: f64,
}

/// Arguments of [`update`].
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// Rows and columns of each matrix.
    pub size: [usize; 2],
    /// All of this shape.
    pub matrices: &'a [Matrix<'a>],
    /// Memory of the mean gradient.
    pub momentum: f64,
    /// Factor on the learning rate.
    pub scale: f64,
    /// Of the products.
    pub precision: Precision,
    /// f32, [`scratch_len`].
    pub scratch: View<'a>,
    /// Of [`norm`](crate::adamw::cuda::norm), as are the next two.
    pub report: View<'a>,
    /// Where it holds trouble, nothing is changed.
    pub latch: View<'a>,
    /// u32 `[16]`: word 7 is the learning rate, as bits of f32.
    pub control: View<'a>,
}

/// Elements of f32 scratch that [`update`] needs for `count` matrices of a size.
pub fn scratch_len([rows, cols]: [usize; 2], count: usize) -> usize {
    let (n, len) = (rows.min(cols), rows * cols);
    let pieces = 2 * count * len.div_ceil(CHUNK);
    ALIGN + padded(pieces) + 2 * padded(count * len) + 2 * padded(count * n * n)
}

/// Every buffer of scratch begins at a multiple of so many elements, 256 bytes: what cuBLASLt takes for granted.
const ALIGN: usize = 64;

fn padded(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}

/// One step: with g the gradient times the factor of clipping, `m = m + (1 - beta) (g - m)`, `u = g + beta (m - g)`,
/// `w = (1 - lr decay) w - lr scale O(u)`, O being what [`super`] says. Sums have one order: the same bits every time, as far as
/// cuBLASLt's products have. No two views may be the same memory.
///
/// # Errors
/// [`CudaError`] on other lengths or types, or where a launch fails.
pub fn update(gpu: &Gpu, p: &Update<'_>) -> Result<()> {
    check(p)?;
    let [rows, cols] = p.size;
    let (len, n, count) = (rows * cols, rows.min(cols), p.matrices.len());
    let chunks = len.div_ceil(CHUNK);
    let begin = p.scratch.address() as usize / size_of::<f32>();
    let mut at = begin.next_multiple_of(ALIGN) - begin;
    let mut part = |elements: usize| {
        let view = p.scratch.slice(at, elements);
        at += padded(elements);
        view
    };
    let pieces = part(2 * count * chunks)?;
    let (x, other) = (part(count * len)?, part(count * len)?);
    let (gram, square) = (part(count * n * n)?, part(count * n * n)?);
    for (i, matrix) in p.matrices.iter().enumerate() {
        Call::new(gpu, Module::Muon, "muon_momentum")?
            .view(matrix.grads)
            .view(matrix.momentum)
            .view(x.slice(i * len, len)?)
            .view(pieces.slice(2 * i * chunks, 2 * chunks)?)
            .view(p.report)
            .view(p.latch)
            .f32(p.momentum as f32)
            .f32((1.0 - p.momentum) as f32)
            .i64(len as i64)
            .launch((blocks(OP, chunks)?, 1, 1), (256, 1, 1), 0)?;
    }
    Call::new(gpu, Module::Muon, "muon_normalise")?
        .view(x)
        .view(pieces)
        .i64(EPS.to_bits().cast_signed())
        .i64(len as i64)
        .launch((blocks(OP, chunks)?, blocks(OP, count)?, 1), (256, 1, 1), 0)?;
    let (mut x, mut next) = (x, other);
    for _ in 0..ITERATIONS {
        iterate(gpu, p, [x, next, gram, square])?;
        std::mem::swap(&mut x, &mut next);
    }
    for (i, matrix) in p.matrices.iter().enumerate() {
        let elem = matrix.shadow.map_or(Elem::F32, View::elem);
        let name = format!("muon_apply_{}", elem.suffix());
        Call::new(gpu, Module::Muon, &name)?
            .view(matrix.params)
            .view(x.slice(i * len, len)?)
            .opt(matrix.shadow)
            .view(p.control)
            .view(p.latch)
            .f32(p.scale as f32)
            .i64(matrix.weight_decay.to_bits().cast_signed())
            .i64(len as i64)
            .launch((blocks(OP, len.div_ceil(256))?, 1, 1), (256, 1, 1), 0)?;
    }
    Ok(())
}

/// One iteration, from x to `next`.
fn iterate(gpu: &Gpu, p: &Update<'_>, [x, next, gram, square]: [View<'_>; 4]) -> Result<()> {
    let [rows, cols] = p.size;
    let (n, deep, wide) = (rows.min(cols), rows.max(cols), rows <= cols);
    let operand = |view, transposed| Operand { view, transposed };
    let product = |[a, b]: [Operand<'_>; 2], c, [m, n, k]: [usize; 3]| {
        let product = Matmul {
            a,
            b,
            c,
            m,
            n,
            k,
            count: p.matrices.len(),
            bias: None,
            accumulate: false,
            precision: p.precision,
        };
        product.launch(gpu)
    };
    product([operand(x, !wide), operand(x, wide)], gram, [n, n, deep])?;
    let both = [operand(gram, false); 2];
    product(both, square, [n, n, n])?;
    let [a, b, c] = COEFFICIENTS.map(|v| v as f32);
    Call::new(gpu, Module::Muon, "muon_combine")?
        .view(gram)
        .view(square)
        .f32(a)
        .f32(b)
        .f32(c)
        .i32(int(OP, "n", n)?)
        .i64(gram.len() as i64)
        .launch(
            (blocks(OP, gram.len().div_ceil(256))?, 1, 1),
            (256, 1, 1),
            0,
        )?;
    let both = match wide {
        true => [operand(gram, false), operand(x, false)],
        false => [operand(x, false), operand(gram, false)],
    };
    product(both, next, [rows, cols, n])
}

fn check(p: &Update<'_>) -> Result<()> {
    let [rows, cols] = p.size;
    let count = p.matrices.len();
    at_least_one(
        OP,
        &[("rows", rows), ("columns", cols), ("matrices", count)],
    )?;
    product(OP, &[count, rows, cols])?;
    // The second axis of a grid.
    if count > 65_535 {
        return Err(CudaError::Value {
            op: OP,
            problem: format!("{count} matrices of one shape are more than 65535"),
        });
    }
    let len = rows * cols;
    for matrix in p.matrices {
        need(OP, "params", matrix.params, &[Elem::F32], len)?;
        need(OP, "grads", matrix.grads, &[Elem::F32], len)?;
        need(OP, "momentum", matrix.momentum, &[Elem::F32], len)?;
        need_opt(OP, "shadow", matrix.shadow, &[Elem::Bf16, Elem::F16], len)?;
    }
    need(OP, "report", p.report, &[Elem::F32], 2)?;
    need(OP, "latch", p.latch, &[Elem::U32], 4)?;
    need(OP, "control", p.control, &[Elem::U32], 16)?;
    check_scratch(OP, p.scratch, scratch_len(p.size, count))
}
