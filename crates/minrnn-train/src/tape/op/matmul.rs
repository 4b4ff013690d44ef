//! Products of matrices.

#[cfg(feature = "cuda")]
use minrnn_kernels::cuda as kernel;
use minrnn_kernels::product;

use crate::tape::cpu::Machine as Cpu;
#[cfg(feature = "cuda")]
use crate::tape::cuda::{Machine, Result};
use crate::tape::host::Host;
use crate::tape::launch::{Kernel, Places, places};
use crate::tape::place::Place;

/// Inner dimensions up to which a product costs about as much as to write its result.
const FEW_ROWS: usize = 32;

/// `c [m,n] = a [m,k] b [k,n] (+ bias)`.
#[derive(Debug)]
pub(super) struct Matmul {
    pub(super) a: Place,
    pub(super) a_transposed: bool,
    pub(super) b: Place,
    pub(super) b_transposed: bool,
    pub(super) bias: Option<Place>,
    pub(super) c: Place,
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) add: bool,
    /// Of f32, in every precision: what parameters alone are made into.
    pub(super) exact: bool,
}

impl Kernel for Matmul {
    fn title(&self) -> String {
        let Self { m, n, k, .. } = self;
        format!("Matmul [{m},{k}] x [{k},{n}]")
    }
    fn places(&self) -> Places {
        places!(self.a, self.b, self.bias => self.c)
    }
    fn again(&self) -> bool {
        self.k <= FEW_ROWS && !self.add
    }
    fn host(&self, h: &mut Host) {
        let Self { m, n, k, .. } = *self;
        let (a, b, bias) = (h.read(self.a), h.read(self.b), h.opt(self.bias));
        let at = |v: &[f64], i: usize, j: usize, rows: usize, columns: usize, t: bool| {
            v[if t { j * rows + i } else { i * columns + j }]
        };
        let mut values = vec![0.0; m * n];
        for i in 0..m {
            for l in 0..k {
                let x = at(&a, i, l, m, k, self.a_transposed);
                for j in 0..n {
                    values[i * n + j] += x * at(&b, l, j, k, n, self.b_transposed);
                }
            }
            if let Some(bias) = &bias {
                let row = values[i * n..][..n].iter_mut().zip(bias);
                row.for_each(|(v, b)| *v += b);
            }
        }
        h.put(self.c, &values, self.add);
    }
    fn cpu(&self, m: &mut Cpu) {
        let reads = [Some(self.a), Some(self.b), self.bias];
        let ([a, b, bias], [c]) = m.memory.access(reads, [Some(self.c)]);
        let shape = product::Shape {
            m: self.m,
            n: self.n,
            k: self.k,
        };
        let operand = |values, transposed| product::Operand { values, transposed };
        let both = [operand(a, self.a_transposed), operand(b, self.b_transposed)];
        let bias = self.bias.map(|_| bias);
        product::product(&mut m.packed, shape, both, bias, c, self.add);
    }
    #[cfg(feature = "cuda")]
    fn cuda(&self, m: &Machine) -> Result<()> {
        self.product(m)?.launch(&m.gpu)
    }
    #[cfg(feature = "cuda")]
    fn tune(&self, m: &Machine) -> Result<()> {
        self.product(m)?.tune(&m.gpu)
    }
}

#[cfg(feature = "cuda")]
impl Matmul {
    fn product<'m>(&self, m: &'m Machine) -> Result<kernel::Matmul<'m>> {
        let operand = |view, transposed| kernel::Operand { view, transposed };
        Ok(kernel::Matmul {
            a: operand(m.view(self.a)?, self.a_transposed),
            b: operand(m.view(self.b)?, self.b_transposed),
            c: m.view(self.c)?,
            m: self.m,
            n: self.n,
            k: self.k,
            count: 1,
            bias: m.opt(self.bias)?,
            accumulate: self.add,
            precision: match self.exact {
                true => kernel::Precision::F32,
                false => m.precision,
            },
        })
    }
}
