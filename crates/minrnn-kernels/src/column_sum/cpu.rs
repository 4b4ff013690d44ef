//! Sums over rows on the CPU.

use crate::dispatch::Level;
use crate::parallel::each_rows_summed;

/// `out[j] (+)= sum_i x[i,j]`; `work` is memory to work in.
pub fn sum(x: &[f32], out: &mut [f32], add: bool, work: &mut Vec<f32>) {
    let width = out.len();
    each_rows_summed(
        Level::best(),
        x.len() / width,
        x.len(),
        [],
        [out],
        add,
        work,
        #[inline(always)]
        |rows, [], sums| {
            for row in rows {
                add_row(sums, &x[row * width..][..width]);
            }
        },
    );
}

/// `to += row`.
#[inline(always)]
pub(crate) fn add_row(to: &mut [f32], row: &[f32]) {
    for (to, x) in to.iter_mut().zip(row) {
        *to += *x;
    }
}
