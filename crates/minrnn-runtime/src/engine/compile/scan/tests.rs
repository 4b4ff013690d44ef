//! The scan is found where it is, and nothing that only looks like it.

use super::*;
use crate::engine::elem::Elem;

/// D, N, G.
const SIZES: [usize; 3] = [6, 4, 2];

/// Registers and instructions in the making.
#[derive(Default)]
struct Made {
    registers: Vec<Register>,
    body: Vec<Instr>,
}

impl Made {
    fn register(&mut self, width: usize) -> View {
        self.registers.push(Register {
            elem: Elem::F32,
            width,
        });
        View {
            reg: self.registers.len() - 1,
            offset: 0,
            width,
        }
    }

    fn binary(&mut self, op: Binary, a: Operand, b: Operand, width: usize) -> View {
        let view = self.register(width);
        let out = view.reg;
        self.body.push(Instr::Binary { op, a, b, out });
        view
    }

    fn pick(&mut self, x: View, places: impl Fn(usize) -> usize) -> Operand {
        let [d, n, _] = SIZES;
        let view = self.register(d * n);
        let places = (0..d * n).map(|i| places(i) as u32).collect();
        self.body.push(Instr::Pick {
            x,
            places,
            out: view.reg,
        });
        Operand::Row(view)
    }
}

/// What differs from a scan.
#[derive(Default, Clone, Copy, PartialEq)]
enum But {
    #[default]
    Nothing,
    /// Channels have the b of another group.
    OtherGroup,
    /// Each channel has its neighbour's input.
    Turned,
    /// Something else reads the states.
    Read,
    /// An output reads the outer product.
    Kept,
    /// Another law of the recurrence.
    Law,
}

/// The operations of a scan, in a step or of all steps, and the registers that outputs read.
fn operations(rates: bool, step: bool, but: But) -> (Made, Vec<usize>) {
    let [d, n, g] = SIZES;
    let wide = d * n;
    let mut m = Made::default();
    let (steps, x, h0) = (m.register(d), m.register(d), m.register(wide));
    let (heads, b, c) = (m.register(3), m.register(g * n), m.register(g * n));
    let runs = |i: usize| i / n / (d / g) * n + i % n;
    let a = match rates {
        true => {
            let each = m.pick(steps, |i| i / n);
            let fixed = Operand::Fixed(vec![-1.0; wide].into());
            let size = m.binary(Binary::Mul, each, fixed, wide);
            let a = m.register(wide);
            m.body.push(Instr::Unary {
                op: Unary::Exp,
                x: size,
                out: a.reg,
            });
            a
        }
        false => match m.pick(heads, |i| i / (wide / 3)) {
            Operand::Row(a) => a,
            _ => unreachable!("a pick is a row"),
        },
    };
    let turned = usize::from(but == But::Turned);
    let x = m.pick(x, |i| (i / n + turned) % d);
    let other = if but == But::OtherGroup { n } else { 0 };
    let b = m.pick(b, |i| (runs(i) + other) % (g * n));
    let fed = m.binary(Binary::Mul, x, b, wide);
    let h = match step {
        true => {
            let kept = m.binary(Binary::Mul, Operand::Row(h0), Operand::Row(a), wide);
            m.binary(Binary::Add, Operand::Row(kept), Operand::Row(fed), wide)
        }
        false => {
            let h = m.register(wide);
            let law = if but == But::Law {
                Law::Complex
            } else {
                Law::Linear
            };
            m.body.push(Instr::Recur {
                law,
                a: Some(a),
                b: fed,
                carry: 0,
                out: h.reg,
            });
            m.body.push(Instr::Capture { x: h, capture: 0 });
            h
        }
    };
    let c = m.pick(c, runs);
    let read = m.binary(Binary::Mul, Operand::Row(h), c, wide);
    let y = m.register(d);
    m.body.push(Instr::Reduce {
        op: Reduction::Sum,
        x: read,
        group: n,
        out: y.reg,
    });
    if but == But::Read {
        m.binary(Binary::Add, Operand::Row(h), Operand::Scalar(1.0), wide);
    }
    let mut kept = vec![y.reg];
    kept.extend((step).then_some(h.reg));
    kept.extend((but == But::Kept).then_some(fed.reg));
    (m, kept)
}

fn found(rates: bool, step: bool, but: But) -> Vec<Instr> {
    let (m, kept) = operations(rates, step, but);
    let captures = [Capture {
        offsets: vec![-1],
        ragged: false,
        past: None,
        width: SIZES[0] * SIZES[1],
        out: 0,
    }];
    joined(m.body, &m.registers, &kept, &captures)
}

#[test]
fn a_scan_is_one_instruction() {
    for rates in [false, true] {
        for step in [false, true] {
            let all = found(rates, step, But::Nothing);
            let [Instr::Scan { scan, .. }] = &all[..] else {
                panic!("{rates} {step}: {all:?}");
            };
            assert_eq!((scan.states, scan.rates.is_some()), (4, rates));
            assert_eq!(scan.steps.width, if rates { 6 } else { 3 });
            assert!(scan.keep.is_none());
            match scan.held {
                Held::Carry { carry, capture } => {
                    assert_eq!((step, carry, capture), (false, 0, Some(0)))
                }
                Held::Row { before, .. } => assert_eq!((step, before.width), (true, 24)),
            }
        }
    }
}

#[test]
fn what_is_none_stays_as_it_is() {
    for rates in [false, true] {
        for (step, but) in [
            (false, But::OtherGroup),
            (true, But::OtherGroup),
            (false, But::Turned),
            (true, But::Turned),
            (false, But::Read),
            (true, But::Read),
            (false, But::Kept),
            (true, But::Kept),
            (false, But::Law),
        ] {
            let (m, _) = operations(rates, step, but);
            assert_eq!(found(rates, step, but).len(), m.body.len());
        }
    }
}

/// The files of a trained model: a scan a block, in every form.
#[test]
fn exports_have_their_scans_found() {
    for form in ["parallel", "scan", "step"] {
        let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
        let path = format!("{models}/copy-mamba/export/model.{form}.onnx");
        let model = crate::Model::open(&path).unwrap();
        assert_eq!(model.not_exact_because(), None, "{form}");
        let bytes = std::fs::read(&path).unwrap();
        let proto = crate::proto::read(&bytes).ok().unwrap();
        let graph = proto.graph.as_ref().unwrap();
        let weights = crate::weights::Weights::default();
        let program = crate::engine::Program::compile(graph, model.info(), &weights).unwrap();
        let scans = |i: &&Instr| matches!(i, Instr::Scan { .. });
        let wide = |i: &&Instr| matches!(i, Instr::Pick { .. } | Instr::Recur { .. });
        assert_eq!(program.body.iter().filter(scans).count(), 2, "{form}");
        assert_eq!(program.body.iter().filter(wide).count(), 0, "{form}");
    }
}
