//! A right matrix that is packed once, for many products.

use pulp::Scalar;
#[cfg(target_arch = "x86_64")]
use pulp::x86::{V3, V4};

use super::tile::Tiles;
use super::{Group, Job, Operand, Shape};

/// A matrix `[k,n]` in panels. Its products have the bits of [`product`](super::product), each by one thread.
#[derive(Debug)]
pub(crate) struct Panels {
    values: Vec<f32>,
    n: usize,
    k: usize,
}

/// Elements of a line of the cache.
const LINE: usize = 16;

impl Panels {
    /// Packs `b`, `[k,n]` or stored transposed.
    ///
    /// # Panics
    /// If it is not as long as that; if it is empty.
    pub(crate) fn new(b: Operand<'_>, k: usize, n: usize) -> Self {
        assert_eq!(b.values.len(), k * n, "a matrix of {k} by {n}");
        assert!(k * n > 0, "a matrix of nothing");
        let mut made = Self {
            values: vec![],
            n,
            k,
        };
        #[cfg(target_arch = "x86_64")]
        {
            if V4::try_new().is_some() {
                made.pack(b, V4::WIDTH);
                return made;
            }
            if V3::try_new().is_some() {
                made.pack(b, V3::WIDTH);
                return made;
            }
        }
        made.pack(b, Scalar::WIDTH);
        made
    }

    fn pack(&mut self, b: Operand<'_>, width: usize) {
        let len = self.n.next_multiple_of(width) * self.k;
        self.values = vec![0.0; len + LINE];
        let from = self.begin();
        let job = self.job(0, &[], b, None, false);
        job.pack(0, &mut self.values[from..][..len], width, true);
    }

    fn begin(&self) -> usize {
        let from = self.values.as_ptr().align_offset(LINE * size_of::<f32>());
        from.min(LINE)
    }

    fn job<'a>(
        &self,
        m: usize,
        a: &'a [f32],
        b: Operand<'a>,
        bias: Option<&'a [f32]>,
        add: bool,
    ) -> Job<'a> {
        let shape = Shape {
            m,
            n: self.n,
            k: self.k,
        };
        let a = Operand {
            values: a,
            transposed: false,
        };
        Job {
            shape,
            a,
            b,
            bias,
            add,
        }
    }

    /// `c = a b (+ bias)`, or `c += a b`; a `[m,k]`, c `[m,n]`.
    ///
    /// # Panics
    /// If a slice has not that length; if there is a bias and `add`.
    pub(crate) fn product(&self, a: &[f32], bias: Option<&[f32]>, c: &mut [f32], add: bool) {
        let m = c.len() / self.n;
        assert_eq!([a.len(), c.len()], [m * self.k, m * self.n], "{m} rows");
        assert!(bias.is_none_or(|b| b.len() == self.n && !add), "a bias");
        if m == 0 {
            return;
        }
        let b = Operand {
            values: &[],
            transposed: false,
        };
        let job = self.job(m, a, b, bias, add);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = V4::try_new() {
                return self.run(simd, &job, c);
            }
            if let Some(simd) = V3::try_new() {
                return self.run(simd, &job, c);
            }
        }
        self.run(Scalar::new(), &job, c);
    }

    fn run<S: Tiles>(&self, simd: S, job: &Job<'_>, c: &mut [f32]) {
        let len = self.n.next_multiple_of(S::WIDTH) * self.k;
        let group = Group {
            first: 0,
            depth: self.k,
            panels: &self.values[self.begin()..][..len],
        };
        job.block(simd, group, 0, c, &mut []);
    }
}
