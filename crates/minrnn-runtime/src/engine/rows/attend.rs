//! Attention: each row over its past and the rows of the call.

use super::{Attention, Block, Fault, Steps};
use crate::engine::instr::Past;
use crate::engine::value::View;
use crate::kernels::{self, RowsMut};

impl Block<'_> {
    pub(super) fn attend(
        &mut self,
        [q, kv, n]: [View; 3],
        past: Past,
        heads: usize,
        [scores, out]: [usize; 2],
        steps: &mut impl Steps,
    ) -> Result<(), Fault> {
        let cpu = self.cpu;
        let mut scratch = std::mem::take(&mut self.registers.f32s[scores]);
        let wide = self.registers.widths[scores];
        let done = self.write(out, |b, to, width| {
            let x = Attention {
                q: b.view(q),
                kv: b.view(kv),
                n: b.view(n),
                heads,
            };
            let past = match past {
                Past::View(past) => past,
                Past::Carry(carry) => {
                    let scratch = RowsMut::dense(&mut scratch[..b.rows * wide], b.rows);
                    return steps.attend(carry, &x, scratch, RowsMut::dense(to, b.rows));
                }
            };
            for (row, to) in to.chunks_exact_mut(width).enumerate() {
                let one = x.row(row, row, b.registers.row(past, row));
                kernels::attend(cpu, &one, &mut scratch[..wide], to);
            }
            Ok(())
        });
        self.registers.f32s[scores] = scratch;
        done
    }
}
