//! Buffers of a running program.

use super::Program;
use super::instr::Register;
use super::value::{Elem, View};

/// The registers of one phase, each with room for some rows. A register is in the file of its type, at its own number.
#[derive(Debug, Default)]
pub(super) struct Registers {
    pub(super) f32s: Vec<Vec<f32>>,
    pub(super) i64s: Vec<Vec<i64>>,
    pub(super) i32s: Vec<Vec<i32>>,
    pub(super) u8s: Vec<Vec<u8>>,
    pub(super) widths: Vec<usize>,
    room: usize,
}

/// Buffers for one thread that runs a program: allocated when first used, used again after.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    pub(super) rows: Registers,
}

impl Workspace {
    /// Buffers for `rows` rows of `program`.
    pub(crate) fn reserve(&mut self, program: &Program, rows: usize) {
        self.rows.reserve(&program.rows, rows);
    }
}

impl Registers {
    pub(super) fn reserve(&mut self, registers: &[Register], rows: usize) {
        if rows <= self.room && self.widths.len() == registers.len() {
            return;
        }
        let count = registers.len();
        self.f32s.resize_with(count, Vec::new);
        self.i64s.resize_with(count, Vec::new);
        self.i32s.resize_with(count, Vec::new);
        self.u8s.resize_with(count, Vec::new);
        for (at, register) in registers.iter().enumerate() {
            let len = rows * register.width;
            match register.elem.held() {
                Elem::F32 | Elem::F16 => self.f32s[at].resize(len, 0.0),
                Elem::I64 => self.i64s[at].resize(len, 0),
                Elem::I32 => self.i32s[at].resize(len, 0),
                Elem::U8 | Elem::Bool => self.u8s[at].resize(len, 0),
            }
        }
        self.widths = registers.iter().map(|r| r.width).collect();
        self.room = rows;
    }

    /// The values of `view` in row `row`.
    pub(super) fn row(&self, view: View, row: usize) -> &[f32] {
        let from = row * self.widths[view.reg] + view.offset;
        &self.f32s[view.reg][from..from + view.width]
    }

    /// Writes rows of f32 values, one after the other in `values`, from row `at` on.
    pub(super) fn fill(&mut self, view: View, at: usize, values: &[f32]) {
        let stride = self.widths[view.reg];
        let to = &mut self.f32s[view.reg][at * stride..];
        copy_rows(
            values,
            view.width,
            &mut to[view.offset..],
            stride,
            view.width,
        );
    }

    /// Reads as many rows of f32 values as `out` has room for.
    pub(super) fn read(&self, view: View, at: usize, out: &mut [f32]) {
        let stride = self.widths[view.reg];
        let from = &self.f32s[view.reg][at * stride + view.offset..];
        copy_rows(from, stride, out, view.width, view.width);
    }
}

/// Copies rows of `width` values between buffers of other strides, as many as both have.
fn copy_rows(from: &[f32], from_stride: usize, to: &mut [f32], to_stride: usize, width: usize) {
    if from_stride == width && to_stride == width {
        let len = from.len().min(to.len());
        to[..len].copy_from_slice(&from[..len]);
        return;
    }
    for (from, to) in from.chunks(from_stride).zip(to.chunks_mut(to_stride)) {
        if from.len() >= width && to.len() >= width {
            to[..width].copy_from_slice(&from[..width]);
        }
    }
}
