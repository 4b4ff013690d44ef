//! From instructions as the graph has them to a program: biases join their products, carries move on, registers are shared.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Compiler, Unsupported};
use crate::engine::instr::{Instr, Operand, Past, Register};
use crate::engine::value::{Phase, View};
use crate::engine::{Port, Program};
use crate::kernels::Binary;

impl Compiler<'_> {
    pub(super) fn finish(
        mut self,
        inputs: Vec<Port>,
        outputs: Vec<Port>,
    ) -> Result<Program, Unsupported> {
        let kept = |ports: &[Port], phase: Phase| -> Vec<usize> {
            let of = |p: &Port| {
                let rows = !self.timed || matches!(p, Port::Data(_) | Port::Reset(_));
                p.view()
                    .filter(|_| rows == (phase == Phase::Rows))
                    .map(|v| v.reg)
            };
            ports.iter().filter_map(of).collect()
        };
        let rows_in = kept(&inputs, Phase::Rows);
        let mut rows_out = kept(&outputs, Phase::Rows);
        if self.timed && self.info.head == crate::info::Head::Last {
            rows_out.clear();
        }
        let batch_out = kept(&outputs, Phase::End);
        self.body = with_biases(std::mem::take(&mut self.body), &rows_out);
        self.end = with_biases(std::mem::take(&mut self.end), &batch_out);
        let kept = if self.timed { &[] } else { &rows_out[..] };
        self.body = super::scan::joined(
            std::mem::take(&mut self.body),
            &self.rows,
            kept,
            &self.captures,
        );
        self.without_unread(&rows_out);
        self.remember();
        let mut program = Program {
            timed: self.timed,
            inputs,
            outputs,
            rows: self.rows,
            batch: self.batch,
            begin: self.begin,
            body: self.body,
            end: self.end,
            carries: self.carries,
            captures: self.captures,
            data_at_end: self.timed && self.info.head == crate::info::Head::Last,
        };
        share(&mut program, &rows_in, &rows_out);
        Ok(program)
    }

    /// The program of a Scan's body: it reads and writes rows alone.
    pub(super) fn finish_body(
        mut self,
        inputs: Vec<View>,
        outputs: Vec<View>,
    ) -> Result<Program, String> {
        if !self.begin.is_empty() || !self.end.is_empty() || !self.carries.is_empty() {
            return Err("a Scan whose body knows the time".into());
        }
        let [ins, outs] =
            [&inputs, &outputs].map(|views| views.iter().map(|v| v.reg).collect::<Vec<_>>());
        let ports = |views: Vec<View>| views.into_iter().map(Port::Data).collect();
        let mut program = Program {
            timed: false,
            inputs: ports(inputs),
            outputs: ports(outputs),
            rows: self.rows,
            batch: vec![],
            begin: vec![],
            body: with_biases(std::mem::take(&mut self.body), &outs),
            end: vec![],
            carries: vec![],
            captures: vec![],
            data_at_end: false,
        };
        share(&mut program, &ins, &outs);
        Ok(program)
    }

    /// Each carry of past steps moves on after the last instruction that reads it.
    fn remember(&mut self) {
        for carry in 0..self.carries.len() {
            let reads = |i: &Instr| match i {
                Instr::Delay { x, carry: c, .. } if *c == carry => Some(*x),
                Instr::Conv {
                    x, carry: Some(c), ..
                } if *c == carry => Some(*x),
                Instr::Attend {
                    kv,
                    past: Past::Carry(c),
                    ..
                } if *c == carry => Some(*kv),
                _ => None,
            };
            let Some(last) = self.body.iter().rposition(|i| reads(i).is_some()) else {
                continue;
            };
            if let Some(x) = reads(&self.body[last]) {
                self.body.insert(last + 1, Instr::Remember { x, carry });
            }
        }
    }
}

/// A constant row added to a product becomes its bias, where nothing else reads the product.
fn with_biases(instrs: Vec<Instr>, kept: &[usize]) -> Vec<Instr> {
    let mut touched = BTreeMap::<usize, usize>::new();
    let mut all = instrs;
    for instr in &mut all {
        instr.registers(&mut |r| *touched.entry(*r).or_default() += 1);
    }
    let mut done: Vec<Instr> = Vec::with_capacity(all.len());
    for instr in all {
        let joined = match (done.last(), &instr) {
            (
                Some(Instr::Product {
                    x,
                    matrix,
                    bias: None,
                    out,
                }),
                Instr::Binary {
                    op: Binary::Add,
                    a,
                    b,
                    out: sum,
                },
            ) if !kept.contains(out) && touched.get(out) == Some(&2) => {
                added(a, b, *out).map(|bias| Instr::Product {
                    x: *x,
                    matrix: matrix.clone(),
                    bias: Some(bias),
                    out: *sum,
                })
            }
            _ => None,
        };
        if let Some(product) = joined {
            done.pop();
            done.push(product);
        } else {
            done.push(instr);
        }
    }
    done
}

/// The constant row of `a + b`, if the other is the whole of `register`.
fn added(a: &Operand, b: &Operand, register: usize) -> Option<Arc<[f32]>> {
    match (a, b) {
        (Operand::Row(v), Operand::Fixed(row)) | (Operand::Fixed(row), Operand::Row(v))
            if *v
                == (View {
                    reg: register,
                    offset: 0,
                    width: row.len(),
                }) =>
        {
            Some(row.clone())
        }
        _ => None,
    }
}

/// Lets registers whose values are no longer needed be written again. Only those of the body: they have a row for each step.
fn share(program: &mut Program, inputs: &[usize], outputs: &[usize]) {
    let count = program.rows.len();
    // First and last instruction that touch a register; inputs are there from the start, outputs to the end.
    let mut spans = vec![(usize::MAX, 0); count];
    for (at, instr) in program.body.iter_mut().enumerate() {
        instr.registers(&mut |r| {
            spans[*r].0 = spans[*r].0.min(at);
            spans[*r].1 = at;
        });
    }
    inputs.iter().for_each(|r| spans[*r].0 = 0);
    outputs.iter().for_each(|r| spans[*r].1 = usize::MAX);
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_key(|r| (spans[*r].0, !inputs.contains(r)));
    let mut files: Vec<(Register, usize)> = vec![];
    let mut place = vec![0; count];
    for r in order {
        let (register, (from, to)) = (program.rows[r], spans[r]);
        if from == usize::MAX {
            continue;
        }
        // An instruction must not write what it reads: the old value has to be dead before.
        let free = |(have, until): &(Register, usize)| {
            have.elem.held() == register.elem.held()
                && have.width == register.width
                && *until < from
        };
        place[r] = match files.iter().position(free) {
            Some(at) => {
                files[at].1 = to;
                at
            }
            None => {
                files.push((register, to));
                files.len() - 1
            }
        };
    }
    for instr in &mut program.body {
        instr.registers(&mut |r| *r = place[*r]);
    }
    program.move_rows(&place);
    program.rows = files.into_iter().map(|(register, _)| register).collect();
}
