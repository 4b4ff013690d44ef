//! Finds the scan of a selective state space among row operations, and makes one instruction of it.
//!
//! What is found is what each operation does with which values: step sizes times rates and their exponentials, or a decay a head; inputs
//! times b, repeated over states and channels; the recurrence; its states times c, summed by channel. Where anything else reads a value in
//! between, or a repeat is another one, the operations stay as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::instr::{Capture, Held, Instr, Operand, Register, Selective};
use crate::engine::value::View;
use crate::info::Law;
use crate::kernels::{Binary, Reduction, Unary};

/// The instructions with each scan in the place of its readout. `kept`: registers that outputs read.
pub(super) fn joined(
    body: Vec<Instr>,
    registers: &[Register],
    kept: &[usize],
    captures: &[Capture],
) -> Vec<Instr> {
    let all = Body::new(&body, registers, kept, captures);
    let mut gone = vec![false; body.len()];
    let mut made = BTreeMap::new();
    for at in 0..body.len() {
        if let Some((scan, used)) = all.scan(at) {
            used.iter().for_each(|i| gone[*i] = true);
            made.insert(at, scan);
        }
    }
    let instrs = body.into_iter().enumerate();
    let rest = instrs.filter_map(|(at, instr)| match made.remove(&at) {
        Some(scan) => Some(scan),
        None => (!gone[at]).then_some(instr),
    });
    rest.collect()
}

struct Body<'a> {
    instrs: &'a [Instr],
    registers: &'a [Register],
    /// By register: who writes it.
    made: BTreeMap<usize, usize>,
    /// By register: who reads it.
    read: BTreeMap<usize, Vec<usize>>,
    kept: &'a [usize],
    captures: &'a [Capture],
}

/// Step sizes with the rates of all states, or a decay a head; what multiplies the decays.
type Decays = (View, Option<Arc<[f32]>>, Option<View>);

/// Instructions that a scan takes the place of.
type Used = Vec<usize>;

/// How a value is repeated over the states `[D, N]`.
struct Repeated {
    source: View,
    places: Arc<[u32]>,
    at: usize,
}

impl Repeated {
    /// Each value `times` times one after the other.
    fn each(&self, times: usize) -> bool {
        let place = |i: usize| i / times;
        self.is(place)
    }

    /// Runs of `n` values, each `times` times one after the other.
    fn runs(&self, n: usize, times: usize) -> bool {
        self.is(|i| i / (n * times) * n + i % n)
    }

    fn is(&self, place: impl Fn(usize) -> usize) -> bool {
        let mut all = self.places.iter().enumerate();
        all.all(|(i, p)| *p as usize == place(i))
    }
}

impl<'a> Body<'a> {
    fn new(
        instrs: &'a [Instr],
        registers: &'a [Register],
        kept: &'a [usize],
        captures: &'a [Capture],
    ) -> Self {
        let (mut made, mut read) = (BTreeMap::new(), BTreeMap::<usize, Vec<usize>>::new());
        for (at, instr) in instrs.iter().enumerate() {
            let mut registers = vec![];
            instr.clone().registers(&mut |r| registers.push(*r));
            // What is written comes last; two instructions write nothing.
            if !matches!(instr, Instr::Remember { .. } | Instr::Capture { .. })
                && let Some(out) = registers.pop()
            {
                made.insert(out, at);
            }
            for register in registers {
                read.entry(register).or_default().push(at);
            }
        }
        Self {
            instrs,
            registers,
            made,
            read,
            kept,
            captures,
        }
    }

    /// Who writes all of a view.
    fn maker(&self, view: View) -> Option<(usize, &'a Instr)> {
        let at = *self.made.get(&view.reg)?;
        let whole = view.offset == 0 && view.width == self.registers[view.reg].width;
        whole.then(|| (at, &self.instrs[at]))
    }

    /// The same where nothing but one instruction reads it.
    fn inner(&self, view: View) -> Option<(usize, &'a Instr)> {
        let once = self.read.get(&view.reg).is_some_and(|all| all.len() == 1);
        let own = once && !self.kept.contains(&view.reg);
        self.maker(view).filter(|_| own)
    }

    /// The factors of a product that is read once.
    fn product(&self, view: View) -> Option<(usize, &'a Operand, &'a Operand)> {
        match self.inner(view)? {
            (
                at,
                Instr::Binary {
                    op: Binary::Mul,
                    a,
                    b,
                    ..
                },
            ) => Some((at, a, b)),
            _ => None,
        }
    }

    fn repeated(&self, operand: &Operand) -> Option<Repeated> {
        let Operand::Row(view) = operand else {
            return None;
        };
        match self.inner(*view)? {
            (at, Instr::Pick { x, places, .. }) => Some(Repeated {
                source: *x,
                places: places.clone(),
                at,
            }),
            _ => None,
        }
    }

    /// The scan whose readout the instruction at `at` is.
    fn scan(&self, at: usize) -> Option<(Instr, Used)> {
        let Instr::Reduce {
            op: Reduction::Sum,
            x,
            group: n,
            out,
        } = &self.instrs[at]
        else {
            return None;
        };
        let (n, width) = (*n, x.width);
        let channels = width / n;
        let (read, left, right) = self.product(*x)?;
        let (h, c) = either(left, right, |o| self.repeated(o))?;
        let groups = c.source.width / n;
        let runs = |r: &Repeated| {
            let wide = r.source.width;
            wide == groups * n && channels.is_multiple_of(groups) && r.runs(n, channels / groups)
        };
        if groups == 0 || !runs(&c) {
            return None;
        }
        let (held, [a, fed], mut used) = self.recurrence(h, read)?;
        used.extend([at, read, c.at]);
        let (product, left, right) = self.product(fed)?;
        let (left, right) = (self.repeated(left)?, self.repeated(right)?);
        let (x, b) = match left.each(n) && left.source.width == channels {
            true => (left, right),
            false => (right, left),
        };
        if !x.each(n) || x.source.width != channels || !runs(&b) {
            return None;
        }
        used.extend([product, x.at, b.at]);
        let (steps, rates, keep) = self.decay(a, (channels, n), &mut used)?;
        let scan = Arc::new(Selective {
            steps,
            rates,
            keep,
            x: x.source,
            b: b.source,
            c: c.source,
            states: n,
            held,
        });
        Some((Instr::Scan { scan, out: *out }, used))
    }

    /// The recurrence that gives `h`, which the instruction `read` reads and states at rows' ends do: where its states are, its
    /// arguments.
    fn recurrence(&self, h: &Operand, read: usize) -> Option<(Held, [View; 2], Used)> {
        let Operand::Row(h) = h else { return None };
        let (at, instr) = self.maker(*h)?;
        let mut others = self.read.get(&h.reg)?.iter().filter(|r| **r != read);
        match instr {
            Instr::Recur {
                law: Law::Linear,
                a: Some(a),
                b,
                carry,
                ..
            } => {
                let mut used = vec![at];
                let mut capture = None;
                for other in others {
                    match self.instrs[*other] {
                        Instr::Capture { capture: c, .. }
                            if capture.is_none() && self.captures[c].offsets == [-1] =>
                        {
                            capture = Some(c);
                            used.push(*other);
                        }
                        _ => return None,
                    }
                }
                let carry = *carry;
                Some((Held::Carry { carry, capture }, [*a, *b], used))
            }
            Instr::Binary {
                op: Binary::Add,
                a: Operand::Row(kept),
                b: Operand::Row(fed),
                out,
            } if others.next().is_none() => {
                let (product, left, right) = self.product(*kept)?;
                let (Operand::Row(before), Operand::Row(a)) = (left, right) else {
                    return None;
                };
                let (before, after) = (*before, *out);
                let held = Held::Row { before, after };
                Some((held, [*a, *fed], vec![at, product]))
            }
            _ => None,
        }
    }

    /// What a decay is made of: step sizes and rates, or a value a head; and what multiplies it.
    fn decay(&self, a: View, (channels, n): (usize, usize), used: &mut Used) -> Option<Decays> {
        let (mut a, mut keep) = (a, None);
        if let Some((at, Operand::Row(inner), Operand::Cell(cell))) = self.product(a) {
            used.push(at);
            (a, keep) = (*inner, Some(*cell));
        }
        if let Some(head) = self.repeated(&Operand::Row(a)) {
            let heads = head.source.width;
            let fits = channels.is_multiple_of(heads) && head.each(channels / heads * n);
            used.push(head.at);
            return fits.then_some((head.source, None, keep));
        }
        let (
            exp,
            Instr::Unary {
                op: Unary::Exp, x, ..
            },
        ) = self.inner(a)?
        else {
            return None;
        };
        let (product, left, right) = self.product(*x)?;
        let (rates, steps) = either(left, right, |o| self.repeated(o))?;
        let Operand::Fixed(rates) = rates else {
            return None;
        };
        used.extend([exp, product, steps.at]);
        let fits = steps.source.width == channels && steps.each(n);
        fits.then(|| (steps.source, Some(rates.clone()), keep))
    }
}

/// What `f` finds in one of two, and the other one.
fn either<'o, T>(
    left: &'o Operand,
    right: &'o Operand,
    f: impl Fn(&Operand) -> Option<T>,
) -> Option<(&'o Operand, T)> {
    match f(right) {
        Some(found) => Some((left, found)),
        None => f(left).map(|found| (right, found)),
    }
}

#[cfg(test)]
mod tests;
