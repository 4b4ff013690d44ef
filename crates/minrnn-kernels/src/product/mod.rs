//! Products of matrices on the CPU, in f32.
//!
//! Every element is a chain: from 0, fused multiply-adds along the depth k in order; the chains of [`DEPTH`] steps each are
//! added in order. Which rows and columns run side by side, on which thread and in how wide vectors, changes no bit; on CPUs
//! of x86-64 without AVX2 and FMA products are rounded before they are added.
//!
//! The right matrix is packed into panels as wide as a tile, group of depths by group; rows of the left one are read where
//! they lie, or packed too where it is transposed. Tiles of 12 rows and 2 vectors keep their sums in registers.

mod pack;
mod packed;
#[cfg(test)]
mod tests;
mod tile;

use pulp::Scalar;
#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};
use rayon::prelude::*;

pub(crate) use packed::Panels;
use tile::{At, Tiles};

/// Steps of a chain.
pub const DEPTH: usize = 256;
/// Rows of a block: with [`DEPTH`] columns of the left matrix it fits into the second cache.
const ROWS: usize = 144;
/// Elements of the right matrix that are packed at a time.
const GROUP: usize = 1 << 20;
/// Products of so few multiplications are not worth a second thread.
const SERIAL: usize = 1 << 17;

/// A matrix, its rows behind each other.
#[derive(Debug, Clone, Copy)]
pub struct Operand<'a> {
    /// Its elements.
    pub values: &'a [f32],
    /// Whether it is stored transposed.
    pub transposed: bool,
}

/// `[m,k]` times `[k,n]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Depth.
    pub k: usize,
}

/// Memory for packed matrices; it grows to what the largest product needs.
#[derive(Debug, Default)]
pub struct Scratch {
    left: Vec<f32>,
    right: Vec<f32>,
}

impl Scratch {
    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        (self.left.len() + self.right.len()) * size_of::<f32>()
    }
}

/// `c = a b (+ bias)`, or `c += a b`.
///
/// # Panics
/// If a slice is not as long as the shape says; if there is a bias and `add`.
pub fn product(
    scratch: &mut Scratch,
    shape: Shape,
    [a, b]: [Operand<'_>; 2],
    bias: Option<&[f32]>,
    c: &mut [f32],
    add: bool,
) {
    let Shape { m, n, k } = shape;
    assert_eq!(a.values.len(), m * k, "left matrix of {shape:?}");
    assert_eq!(b.values.len(), k * n, "right matrix of {shape:?}");
    assert_eq!(c.len(), m * n, "result of {shape:?}");
    assert!(
        bias.is_none_or(|b| b.len() == n && !add && k > 0),
        "bias of {shape:?}"
    );
    if k == 0 && !add {
        c.fill(0.0);
    }
    if m * n * k == 0 {
        return;
    }
    let job = Job {
        shape,
        a,
        b,
        bias,
        add,
    };
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(simd) = V4::try_new() {
            return job.run(simd, scratch, c);
        }
        if let Some(simd) = V3::try_new() {
            return job.run(simd, scratch, c);
        }
    }
    job.run(Scalar::new(), scratch, c);
}

/// A product under way.
#[derive(Clone, Copy)]
struct Job<'a> {
    shape: Shape,
    a: Operand<'a>,
    b: Operand<'a>,
    bias: Option<&'a [f32]>,
    add: bool,
}

/// A group of depths, packed: `[depths][panels][DEPTH][width]`, the last depths fewer.
#[derive(Clone, Copy)]
struct Group<'a> {
    first: usize,
    depth: usize,
    panels: &'a [f32],
}

impl Job<'_> {
    fn run<S: Tiles>(self, simd: S, scratch: &mut Scratch, c: &mut [f32]) {
        let Shape { m, n, k } = self.shape;
        let width = S::WIDTH;
        let columns = n.next_multiple_of(width);
        let threads = rayon::current_num_threads();
        let serial = threads == 1 || m * n * k.max(1) < SERIAL;
        let blocks = match serial {
            true => m.div_ceil(ROWS),
            false => m.div_ceil(ROWS).next_multiple_of(threads),
        };
        let rows = m.div_ceil(blocks);
        let deep = (GROUP / columns / DEPTH).max(1) * DEPTH;
        let right = aligned(&mut scratch.right, columns * deep.min(k));
        let own = if self.a.transposed { rows * DEPTH } else { 0 };
        let left = aligned(&mut scratch.left, own * m.div_ceil(rows));
        let mut first = 0;
        loop {
            let depth = deep.min(k - first);
            let panels = &mut right[..columns * depth];
            self.pack(first, panels, width, serial);
            let group = Group {
                first,
                depth,
                panels,
            };
            let block = |(i, c, left): (usize, &mut [f32], &mut [f32])| {
                self.block(simd, group, i * rows, c, left);
            };
            let parts = c.chunks_mut(rows * n);
            match (serial, self.a.transposed) {
                (true, _) => parts
                    .enumerate()
                    .for_each(|(i, c)| block((i, c, &mut *left))),
                (false, false) => {
                    let parts = c.par_chunks_mut(rows * n).enumerate();
                    parts.for_each(|(i, c)| block((i, c, &mut [])));
                }
                (false, true) => {
                    let parts = c.par_chunks_mut(rows * n).zip(left.par_chunks_mut(own));
                    let parts = parts.enumerate();
                    parts.for_each(|(i, (c, left))| block((i, c, left)));
                }
            }
            first += depth;
            if first >= k {
                return;
            }
        }
    }

    /// Packs a group of the right matrix.
    fn pack(&self, first: usize, panels: &mut [f32], width: usize, serial: bool) {
        let count = self.shape.n.div_ceil(width);
        let depth = panels.len() / (count * width);
        if !serial && !self.b.transposed && depth / DEPTH >= rayon::current_num_threads() {
            let parts = panels.par_chunks_mut(DEPTH * count * width).enumerate();
            parts.for_each(|(i, to)| {
                pack::right_rows(self.b, self.shape, first + i * DEPTH, width, to);
            });
            return;
        }
        let whole = depth / DEPTH * DEPTH;
        let (wholes, rest) = panels.split_at_mut(whole * count * width);
        for (from, depth, part) in [(0, DEPTH, wholes), (whole, depth - whole, rest)] {
            if part.is_empty() {
                continue;
            }
            let panel = |(i, to): (usize, &mut [f32])| {
                let from = first + from + i / count * DEPTH;
                pack::right(self.b, self.shape, from, i % count * width, width, to);
            };
            match serial {
                true => part.chunks_mut(depth * width).enumerate().for_each(panel),
                false => {
                    let parts = part.par_chunks_mut(depth * width).enumerate();
                    parts.for_each(panel);
                }
            }
        }
    }

    /// The rows from `row` on, as far as `c` reaches, of one group of depths.
    fn block<S: Tiles>(
        &self,
        simd: S,
        group: Group<'_>,
        row: usize,
        c: &mut [f32],
        left: &mut [f32],
    ) {
        let Shape { m, n, k } = self.shape;
        let columns = n.next_multiple_of(S::WIDTH);
        let rows = c.len() / n;
        let tiles = rows.div_ceil(S::ROWS);
        let border = |t: usize| rows * t / tiles;
        for start in (0..group.depth).step_by(DEPTH) {
            let depth = DEPTH.min(group.depth - start);
            let from = group.first + start;
            if self.a.transposed {
                for t in 0..tiles {
                    let part = &mut left[border(t) * depth..border(t + 1) * depth];
                    let values = &self.a.values[from * m + row + border(t)..];
                    pack::left(values, m, border(t + 1) - border(t), part);
                }
            }
            for (p, panel) in group.panels[start * columns..][..depth * columns]
                .chunks_exact(depth * S::WIDTH)
                .enumerate()
            {
                let column = p * S::WIDTH;
                let own = S::WIDTH.min(n - column);
                for t in 0..tiles {
                    let first = border(t);
                    let at = At {
                        panel,
                        depth,
                        stride: n,
                        columns: own,
                        bias: self.bias.map(|b| &b[column..][..own]),
                        add: self.add || from > 0,
                    };
                    let c = &mut c[first * n + column..];
                    let rows = border(t + 1) - first;
                    if self.a.transposed {
                        simd.packed(rows, &left[first * depth..], at, c);
                    } else {
                        let a = &self.a.values[(row + first) * k + from..];
                        simd.rows(rows, a, k, at, c);
                    }
                }
            }
        }
    }
}

/// The first `len` elements of memory that begin at a line of the cache.
fn aligned(memory: &mut Vec<f32>, len: usize) -> &mut [f32] {
    const LINE: usize = 16;
    if memory.len() < len + LINE {
        memory.resize(len + LINE, 0.0);
    }
    let from = memory.as_ptr().align_offset(LINE * size_of::<f32>());
    &mut memory[from.min(LINE)..][..len]
}
