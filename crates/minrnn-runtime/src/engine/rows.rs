//! Runs instructions over a block of rows.

mod attend;
mod lookup;

use super::instr::{Folded, Held, Instr, Operand, Part, Selective};
use super::registers::Registers;
pub(crate) use super::steps::Fault;
pub(super) use super::steps::{Attention, NoSteps, Steps};
use super::value::View;
use crate::kernels::{self, Cpu, Decay, Rows, RowsMut, Scan};

/// Rows that are computed together: enough to read weights seldom, few enough for the caches.
pub(super) const BLOCK: usize = 128;

/// Runs `instrs` over the first `rows` rows of `registers`.
pub(super) fn run(
    instrs: &[Instr],
    registers: &mut Registers,
    rows: usize,
    cpu: Cpu,
    steps: &mut impl Steps,
) -> Result<(), Fault> {
    let mut block = Block {
        registers,
        rows,
        cpu,
    };
    instrs.iter().try_for_each(|i| block.one(i, steps))
}

struct Block<'a> {
    registers: &'a mut Registers,
    rows: usize,
    cpu: Cpu,
}

impl Block<'_> {
    fn one(&mut self, instr: &Instr, steps: &mut impl Steps) -> Result<(), Fault> {
        let cpu = self.cpu;
        match instr {
            Instr::Unary { op, x, out } => self.write(*out, |b, to, width| {
                let from = &b.registers.f32s[x.reg];
                if b.whole(*x) && x.width == width {
                    kernels::unary(cpu, *op, &from[..b.rows * width], to);
                    return Ok(());
                }
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    kernels::unary(cpu, *op, b.registers.row(*x, row), to);
                }
                Ok(())
            }),
            Instr::RoundToHalf { x, out } => self.write(*out, |b, to, width| {
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    kernels::round_to_f16(cpu, b.registers.row(*x, row), to);
                }
                Ok(())
            }),
            Instr::Binary { op, a, b, out } => self.write(*out, |block, to, width| {
                if let (Some(a), Some(b)) = (block.flat(a, width), block.flat(b, width)) {
                    kernels::binary(cpu, *op, a, b, to);
                    return Ok(());
                }
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    let (a, b) = (block.operand(a, row), block.operand(b, row));
                    kernels::binary(cpu, *op, a, b, to);
                }
                Ok(())
            }),
            Instr::Product {
                x,
                matrix,
                bias,
                out,
            } => self.write(*out, |b, to, _| {
                matrix.product(cpu, b.view(*x), bias.as_deref(), RowsMut::dense(to, b.rows));
                Ok(())
            }),
            Instr::Reduce { op, x, group, out } => self.write(*out, |b, to, width| {
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    let groups = b.registers.row(*x, row).chunks_exact(*group);
                    for (to, values) in to.iter_mut().zip(groups) {
                        *to = kernels::reduce(cpu, *op, values);
                    }
                }
                Ok(())
            }),
            Instr::Copy { parts, out } => self.write(*out, |b, to, width| {
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    b.copy(parts, row, to);
                }
                Ok(())
            }),
            Instr::Pick { x, places, out } => self.write(*out, |b, to, width| {
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    let values = b.registers.row(*x, row);
                    for (to, place) in to.iter_mut().zip(places.iter()) {
                        *to = values[*place as usize];
                    }
                }
                Ok(())
            }),
            Instr::Recur {
                law,
                a,
                b,
                carry,
                out,
            } => self.write(*out, |block, to, _| {
                let to = RowsMut::dense(to, block.rows);
                let x = (a.map(|a| block.view(a)), block.view(*b));
                steps.recur(*law, *carry, x, to)
            }),
            Instr::Scan { scan, out } => self.scan(scan, *out, steps),
            Instr::Attend {
                q,
                kv,
                n,
                past,
                heads,
                scores,
                out,
            } => self.attend([*q, *kv, *n], *past, *heads, [*scores, *out], steps),
            Instr::Fold { fold, x, out } => self.fold(fold, x, out, steps),
            Instr::Delay { x, by, carry, out } => self.write(*out, |b, to, _| {
                steps.delay(*carry, *by, b.view(*x), RowsMut::dense(to, b.rows))
            }),
            Instr::Conv {
                x,
                taps,
                carry,
                out,
            } => self.write(*out, |b, to, width| {
                let taps = Rows::new(taps, taps.len() / width, width, width);
                if let Some(carry) = carry {
                    return steps.conv(*carry, b.view(*x), taps, RowsMut::dense(to, b.rows));
                }
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    let window = Rows::new(b.registers.row(*x, row), taps.rows(), width, width);
                    kernels::convolution(cpu, window, taps, RowsMut::dense(to, 1));
                }
                Ok(())
            }),
            Instr::Remember { x, carry } => steps.remember(*carry, self.view(*x)),
            Instr::Capture { x, capture } => steps.capture(*capture, self.view(*x)),
            Instr::Gather { table, ids, out } => self.gather(table, *ids, *out),
            Instr::ProductInt {
                x,
                zero,
                matrix,
                out,
            } => {
                let mut to = std::mem::take(&mut self.registers.i32s[*out]);
                let (from, stride) = (&self.registers.u8s[x.reg], self.registers.widths[x.reg]);
                let width = self.registers.widths[*out];
                let from = Rows::new(&from[x.offset..], self.rows, x.width, stride);
                let rows = RowsMut::dense(&mut to[..self.rows * width], self.rows);
                matrix.product(cpu, from, *zero, rows);
                self.registers.i32s[*out] = to;
                Ok(())
            }
            Instr::Cast { x, from, to, out } => {
                self.cast(*x, *from, *to, *out);
                Ok(())
            }
        }
    }

    /// Takes the f32 register `out` away from the others, lets `f` write its rows, and puts it back.
    fn write(
        &mut self,
        out: usize,
        f: impl FnOnce(&Self, &mut [f32], usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut buffer = std::mem::take(&mut self.registers.f32s[out]);
        let width = self.registers.widths[out];
        let done = f(self, &mut buffer[..self.rows * width], width);
        self.registers.f32s[out] = buffer;
        done
    }

    fn scan(&mut self, scan: &Selective, out: usize, steps: &mut impl Steps) -> Result<(), Fault> {
        let cpu = self.cpu;
        match scan.held {
            Held::Carry { carry, capture } => self.write(out, |b, to, _| {
                let to = RowsMut::dense(to, b.rows);
                steps.scan(carry, capture, &b.arguments(scan, None), to)
            }),
            Held::Row { before, after } => {
                let mut states = std::mem::take(&mut self.registers.f32s[after]);
                let wide = self.registers.widths[after];
                let done = self.write(out, |b, to, width| {
                    let rows = to
                        .chunks_exact_mut(width)
                        .zip(states.chunks_exact_mut(wide));
                    for (row, (to, h)) in rows.enumerate() {
                        let from = Some(b.registers.row(before, row));
                        let to = RowsMut::dense(to, 1);
                        kernels::scan(cpu, &b.arguments(scan, Some(row)), from, h, to);
                    }
                    Ok(())
                });
                self.registers.f32s[after] = states;
                done
            }
        }
    }

    fn fold(
        &mut self,
        fold: &Folded,
        x: &[View],
        out: &[usize],
        steps: &mut impl Steps,
    ) -> Result<(), Fault> {
        let taken = out
            .iter()
            .map(|reg| std::mem::take(&mut self.registers.f32s[*reg]));
        let mut taken: Vec<Vec<f32>> = taken.collect();
        let x: Vec<Rows<'_>> = x.iter().map(|x| self.view(*x)).collect();
        let rows = |(buffer, reg): (_, &usize)| {
            let buffer: &mut Vec<f32> = buffer;
            let len = self.rows * self.registers.widths[*reg];
            RowsMut::dense(&mut buffer[..len], self.rows)
        };
        let mut to: Vec<RowsMut<'_>> = taken.iter_mut().zip(out).map(rows).collect();
        let done = steps.fold(fold, &x, &mut to);
        for (buffer, reg) in taken.into_iter().zip(out) {
            self.registers.f32s[*reg] = buffer;
        }
        done
    }

    /// The arguments of a scan: those of all rows, or of one.
    fn arguments<'s>(&'s self, scan: &'s Selective, row: Option<usize>) -> Scan<'s> {
        let rows = |v: View| match row {
            Some(row) => self.view(v).part(row, 1),
            None => self.view(v),
        };
        let steps = rows(scan.steps);
        Scan {
            decay: match &scan.rates {
                Some(rates) => Decay::Rates { steps, rates },
                None => Decay::Heads(steps),
            },
            keep: scan.keep.map(rows),
            x: rows(scan.x),
            b: rows(scan.b),
            c: rows(scan.c),
            states: scan.states,
        }
    }

    fn whole(&self, view: View) -> bool {
        view.offset == 0 && view.width == self.registers.widths[view.reg]
    }

    fn view(&self, view: View) -> Rows<'_> {
        let data = &self.registers.f32s[view.reg][view.offset..];
        Rows::new(data, self.rows, view.width, self.registers.widths[view.reg])
    }

    /// The operand for all rows at once, where that is one run of values or one value.
    fn flat<'s>(&'s self, operand: &'s Operand, width: usize) -> Option<kernels::Operand<'s>> {
        match operand {
            Operand::Scalar(x) => Some(kernels::Operand::Scalar(*x)),
            Operand::Row(v) if self.whole(*v) && v.width == width => {
                let values = &self.registers.f32s[v.reg][..self.rows * width];
                Some(kernels::Operand::Slice(values))
            }
            Operand::Fixed(row) if self.rows == 1 => Some(kernels::Operand::Slice(row)),
            _ => None,
        }
    }

    fn operand<'s>(&'s self, operand: &'s Operand, row: usize) -> kernels::Operand<'s> {
        match operand {
            Operand::Scalar(x) => kernels::Operand::Scalar(*x),
            Operand::Fixed(values) => kernels::Operand::Slice(values),
            Operand::Row(v) => kernels::Operand::Slice(self.registers.row(*v, row)),
            Operand::Cell(v) => kernels::Operand::Scalar(self.registers.row(*v, row)[0]),
        }
    }

    fn copy(&self, parts: &[Part], row: usize, mut to: &mut [f32]) {
        for part in parts {
            let values = match part {
                Part::View(v) => self.registers.row(*v, row),
                Part::Fixed(values) => values,
            };
            let (here, rest) = to.split_at_mut(values.len());
            here.copy_from_slice(values);
            to = rest;
        }
    }
}
