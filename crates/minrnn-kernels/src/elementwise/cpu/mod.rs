//! Primitives on the CPU, over memory of the caller.

mod map;
mod moves;

pub use map::{Map2Grad, map, map_grad, map2, map2_grad, vec};
pub use moves::{
    Columns, Delay, average, copy_columns, delay, delay_grad, keep, last, last_grad, reduce,
    reduce_grad, repeat, repeat_channels, repeat_channels_grad,
};

/// `to = value`, or `to += value`.
#[inline(always)]
fn put(to: &mut f32, value: f32, add: bool) {
    *to = if add { *to + value } else { value };
}
