//! Primitives on CUDA: one element a thread, any mixture of element types, arithmetic in f32.

mod map;
mod moves;
mod repeat;

use super::Map;
use crate::Elem;
use crate::cuda::{Call, CudaError, Gpu, Memory, Module, Result, View, need};

pub use map::{Map2Grad, map, map_grad, map2, map2_grad, reduce, reduce_grad, vec};
pub use moves::{
    Columns, Delay, average, copy_columns, delay, delay_grad, keep, last, last_grad, repeat,
};
pub use repeat::{Repeat, repeat_channels, repeat_channels_grad};

/// Types that these kernels read and write.
const FLOATS: [Elem; 3] = [Elem::F32, Elem::Bf16, Elem::F16];
const THREADS: u32 = 256;

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
    map(gpu, Map::Copy, wide.all(Elem::F32)?, to, false)?;
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
    map(gpu, Map::Copy, from, view, false)?;
    view.read(gpu)
}
