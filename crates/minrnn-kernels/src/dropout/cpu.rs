//! Masks on the CPU.

use super::Draw;
use crate::column_sum::cpu::add_row;
use crate::dispatch::Level;
use crate::parallel::{CHUNK, each_chunk};

/// The factors of `len` elements: 0 with probability p, else `1 / (1 - p)`.
pub fn mask(draw: Draw, p: f64, len: usize) -> Vec<f32> {
    let keep = (1.0 / (1.0 - p)) as f32;
    let threshold = (p * 4_294_967_296.0) as u32;
    let key = [draw.seed as u32, (draw.seed >> 32) as u32];
    let mut mask = Vec::with_capacity(len + 3);
    for block in 0..len.div_ceil(4) as u64 {
        // 40 bits count blocks of the tensor, 24 bits sites; the step has 64 of its own.
        let place = block | (draw.site as u64) << 40;
        let counter = [
            place as u32,
            (place >> 32) as u32,
            draw.step as u32,
            (draw.step >> 32) as u32,
        ];
        mask.extend(philox(counter, key).map(|bits| if bits < threshold { 0.0 } else { keep }));
    }
    mask.truncate(len);
    mask
}

/// A dropout of one step, for passes that draw its factors where they use them.
#[derive(Debug, Clone, Copy)]
pub struct Mask {
    draw: Draw,
    threshold: u32,
    keep: f32,
}

/// Blocks of four numbers that are drawn side by side.
pub(crate) const SIDE: usize = 16;

/// The four numbers of each of [`SIDE`] blocks: those of number j of each. Blocks have 40 bits.
#[inline(always)]
#[allow(clippy::needless_range_loop, reason = "one index of four arrays")]
pub(crate) fn side_by_side(draw: Draw, blocks: [u64; SIDE]) -> [[u32; SIDE]; 4] {
    let Draw { seed, step, site } = draw;
    let mut counter = [[0u32; SIDE]; 4];
    for i in 0..SIDE {
        let place = blocks[i] | (site as u64) << 40;
        counter[0][i] = place as u32;
        counter[1][i] = (place >> 32) as u32;
        counter[2][i] = step as u32;
        counter[3][i] = (step >> 32) as u32;
    }
    let mut key = [seed as u32, (seed >> 32) as u32];
    for _ in 0..10 {
        for i in 0..SIDE {
            let a = u64::from(counter[0][i]) * 0xD251_1F53;
            let b = u64::from(counter[2][i]) * 0xCD9E_8D57;
            counter[0][i] = (b >> 32) as u32 ^ counter[1][i] ^ key[0];
            counter[1][i] = b as u32;
            counter[2][i] = (a >> 32) as u32 ^ counter[3][i] ^ key[1];
            counter[3][i] = a as u32;
        }
        key[0] = key[0].wrapping_add(0x9E37_79B9);
        key[1] = key[1].wrapping_add(0xBB67_AE85);
    }
    counter
}

impl Mask {
    /// With probability p of a zero, in (0, 1).
    pub fn new(draw: Draw, p: f64) -> Self {
        Self {
            draw,
            threshold: (p * 4_294_967_296.0) as u32,
            keep: (1.0 / (1.0 - p)) as f32,
        }
    }

    /// Multiplies `values`, which are elements `from..` of the tensor, with their factors.
    #[inline(always)]
    pub(crate) fn apply(self, from: usize, values: &mut [f32]) {
        let head = values.len().min(from.next_multiple_of(4) - from);
        let (head, body) = values.split_at_mut(head);
        if !head.is_empty() {
            let factors = self.factors((from / 4) as u64);
            for (i, v) in head.iter_mut().enumerate() {
                *v *= factors[from % 4 + i][0];
            }
        }
        let first = (from.div_ceil(4)) as u64;
        for (i, part) in body.chunks_mut(4 * SIDE).enumerate() {
            let factors = self.factors(first + (i * SIDE) as u64);
            for (j, v) in part.iter_mut().enumerate() {
                *v *= factors[j % 4][j / 4];
            }
        }
    }

    /// The factors of [`SIDE`] blocks from `block` on: those of number j of each.
    #[inline(always)]
    fn factors(self, block: u64) -> [[f32; SIDE]; 4] {
        let blocks = std::array::from_fn(|i| block + i as u64);
        let counter = side_by_side(self.draw, blocks);
        counter.map(|c| {
            c.map(|bits| {
                if bits < self.threshold {
                    0.0
                } else {
                    self.keep
                }
            })
        })
    }
}

/// Multiplies a row of factors with `a`, where there is a mask, and adds `x`, where there is one: `y = x + mask a`.
pub fn add(x: Option<&[f32]>, a: &[f32], mask: Option<Mask>, y: &mut [f32]) {
    let elements = y.len();
    each_chunk(
        Level::best(),
        y,
        CHUNK,
        elements,
        #[inline(always)]
        |from, y| {
            y.copy_from_slice(&a[from..][..y.len()]);
            if let Some(mask) = mask {
                mask.apply(from, y);
            }
            if let Some(x) = x {
                add_row(y, &x[from..]);
            }
        },
    );
}

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
pub(super) fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    counter
}
