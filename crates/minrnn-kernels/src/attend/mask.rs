//! Which weights a dropout makes zero: numbers of Philox4x32-10 by (seed, step, site, place of the weight), 16 bits a weight.
//!
//! Weights `[B,H,T,front + T]` lie in tiles of 16 steps and 16 rows, row r of the run at `front + r`. Of a tile, 32 blocks of four numbers
//! have eight weights each: block `4 (t % 8) + r % 8 / 2` those of steps t and t + 8, and of rows r, r + 1, r + 8 and r + 9. Number
//! `2 (r % 16 / 8) + t % 16 / 8` holds two of them, that of the even row in its low half. So a thread of a GPU that has a tile's sums of
//! products in its registers draws one block for it.

use super::{Size, TILE};
use crate::dispatch::Level;
use crate::dropout::Draw;
use crate::dropout::cpu::{SIDE, side_by_side};

/// Values of 16 bits.
const VALUES: f64 = 65_536.0;

/// The dropout of the weights of one run: zero with probability p, to a part in 65536, else divided by 1 - p.
#[derive(Debug, Clone, Copy)]
pub struct Mask {
    draw: Draw,
    threshold: u32,
    keep: f32,
    size: Size,
}

/// How many of the 65536 values mean zero, and the factor of what is kept.
pub(super) fn threshold(p: f64) -> (u32, f32) {
    let threshold = (p * VALUES).round().clamp(0.0, VALUES - 1.0);
    (threshold as u32, (VALUES / (VALUES - threshold)) as f32)
}

impl Mask {
    /// With probability p of a zero, in (0, 1).
    pub fn new(draw: Draw, p: f64, size: Size) -> Self {
        let (threshold, keep) = threshold(p);
        Self {
            draw,
            threshold,
            keep,
            size,
        }
    }

    /// The factors of a head's weights at step `t`, from row `first` of the run on, which is negative before it.
    #[inline(always)]
    pub(super) fn factors(&self, head: usize, t: usize, first: isize, to: &mut [f32]) {
        let Size { time, .. } = self.size;
        let from = (self.size.front() as isize + first) as usize;
        let across = (self.size.front() + time).div_ceil(TILE);
        let down = (head * time.div_ceil(TILE) + t / TILE) * across;
        let mut at = from / TILE * TILE;
        while at < from + to.len() {
            let tile = at / TILE;
            // Four tiles, of each the four blocks of this step.
            let block = |i: usize| (32 * (down + tile + i / 4) + t % 8 * 4 + i % 4) as u64;
            let numbers = side_by_side(self.draw, std::array::from_fn(block));
            let upper = t % TILE / 8;
            let mut all = [0.0; 4 * SIDE];
            for (i, factor) in all.iter_mut().enumerate() {
                let (tile, row) = (i / TILE, i % TILE);
                let number = numbers[2 * (row / 8) + upper][tile * 4 + row % 8 / 2];
                let bits = if row % 2 == 0 {
                    number & 0xffff
                } else {
                    number >> 16
                };
                *factor = if bits < self.threshold {
                    0.0
                } else {
                    self.keep
                };
            }
            let (begin, end) = (at.max(from), (at + all.len()).min(from + to.len()));
            to[begin - from..end - from].copy_from_slice(&all[begin - at..end - at]);
            at += all.len();
        }
    }
}

/// The factors of steps `from..from + steps` of all heads, `[B,H,steps,rows]`, from row `first` of the run on, which is negative before it.
pub fn mask(mask: &Mask, (from, steps): (usize, usize), first: isize, rows: usize) -> Vec<f32> {
    let heads = mask.size.batch * mask.size.heads;
    let mut all = vec![0.0; heads * steps * rows];
    crate::parallel::each_row(
        Level::best(),
        &mut all,
        rows,
        #[inline(always)]
        |row, to| mask.factors(row / steps, from + row % steps, first, to),
    );
    all
}
