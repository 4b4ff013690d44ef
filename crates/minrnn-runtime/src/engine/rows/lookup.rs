//! Rows of tables, and other types.

use super::{Block, Fault};
use crate::engine::instr::Table;
use crate::engine::registers::Registers;
use crate::engine::value::{Elem, View};

impl Block<'_> {
    pub(super) fn gather(&mut self, table: &Table, ids: View, out: usize) -> Result<(), Fault> {
        let (width, rows) = (self.registers.widths[out], self.rows);
        let stride = self.registers.widths[ids.reg];
        for row in 0..rows {
            let id = self.registers.i64s[ids.reg][row * stride + ids.offset];
            let from = usize::try_from(id)
                .unwrap_or(usize::MAX)
                .saturating_mul(width);
            let place = row * width..(row + 1) * width;
            let range = from..from.saturating_add(width);
            let (known, done) = match table {
                Table::F32(t) => {
                    let found = t.get(range).map(|values| {
                        self.registers.f32s[out][place].copy_from_slice(values);
                    });
                    (t.len(), found)
                }
                Table::U8(t) => {
                    let found = t.get(range).map(|values| {
                        self.registers.u8s[out][place].copy_from_slice(values);
                    });
                    (t.len(), found)
                }
            };
            let rows = known / width;
            done.ok_or_else(|| match table {
                // A table of ones is a limit: its rows are the numbers of steps.
                Table::F32(t) if width == 1 && t.iter().all(|v| *v == 1.0) => {
                    Fault::Beyond { steps: rows - 1 }
                }
                _ => Fault::Id { id, rows },
            })?;
        }
        Ok(())
    }

    /// f32 to u8 saturates, as Rust's `as` does; the graphs clamp before.
    pub(super) fn cast(&mut self, x: View, from: Elem, to: Elem, out: usize) {
        let (rows, width) = (self.rows, self.registers.widths[out]);
        let stride = self.registers.widths[x.reg];
        let Registers {
            f32s,
            u8s,
            i32s,
            i64s,
            ..
        } = &mut *self.registers;
        let spans = (0..rows).map(|r| (r * stride + x.offset, r * width));
        match (from, to) {
            (Elem::F32, Elem::U8) => {
                for (from, to) in spans {
                    let values = &f32s[x.reg][from..from + width];
                    let target = &mut u8s[out][to..to + width];
                    target
                        .iter_mut()
                        .zip(values)
                        .for_each(|(t, v)| *t = *v as u8);
                }
            }
            // Towards zero, as Rust's `as` does.
            (Elem::F32, Elem::I64) => {
                for (from, to) in spans {
                    let values = &f32s[x.reg][from..from + width];
                    let target = &mut i64s[out][to..to + width];
                    let pairs = target.iter_mut().zip(values);
                    pairs.for_each(|(t, v)| *t = *v as i64);
                }
            }
            (Elem::I32, _) => {
                for (from, to) in spans {
                    let values = &i32s[x.reg][from..from + width];
                    let target = &mut f32s[out][to..to + width];
                    target
                        .iter_mut()
                        .zip(values)
                        .for_each(|(t, v)| *t = *v as f32);
                }
            }
            _ => {
                for (from, to) in spans {
                    let values = &u8s[x.reg][from..from + width];
                    let target = &mut f32s[out][to..to + width];
                    target
                        .iter_mut()
                        .zip(values)
                        .for_each(|(t, v)| *t = f32::from(*v));
                }
            }
        }
    }
}
