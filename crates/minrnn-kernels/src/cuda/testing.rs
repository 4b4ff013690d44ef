//! How kernels are tested: buffers that begin as NaN, with guards around them, against float64, twice with equal bits.

use super::{Gpu, Memory, View};
use crate::Elem;
use crate::testing::close;

/// The types of activations.
pub(crate) const TYPES: [Elem; 3] = [Elem::F32, Elem::Bf16, Elem::F16];

/// Whether a checker looks at every access, which takes a hundred times as long: `MINRNN_TEST_SMALL` is set. Tests of many sizes then have
/// few and small ones, of which each still runs every kernel.
pub(crate) fn small() -> bool {
    std::env::var_os("MINRNN_TEST_SMALL").is_some()
}

/// Half the distance of neighbours near 1: how far a rounded result is off.
pub(crate) fn rounding(elem: Elem) -> f64 {
    match elem {
        Elem::Bf16 => 1.0 / 256.0,
        Elem::F16 => 1.0 / 2048.0,
        Elem::F32 | Elem::U32 => 6e-8,
    }
}

/// What a value becomes in memory, as bits.
fn narrow(elem: Elem, x: f64) -> u32 {
    let bits = (x as f32).to_bits();
    match elem {
        Elem::F32 | Elem::U32 => bits,
        Elem::Bf16 if x.is_nan() => 0x7fff,
        Elem::Bf16 => (bits + 0x7fff + (bits >> 16 & 1)) >> 16,
        Elem::F16 => u32::from(half(x)),
    }
}

/// binary16 by search: rounding to the nearest of its values, ties to even.
fn half(x: f64) -> u16 {
    if x.is_nan() {
        return 0x7e00;
    }
    let sign = if x.is_sign_negative() { 0x8000 } else { 0 };
    let (mut low, mut high) = (0u16, 0x7c00u16);
    while high - low > 1 {
        let middle = u16::midpoint(low, high);
        if widen(Elem::F16, u32::from(middle)) <= x.abs() {
            low = middle;
        } else {
            high = middle;
        }
    }
    let top = if high == 0x7c00 {
        65_536.0
    } else {
        widen(Elem::F16, u32::from(high))
    };
    let (under, over) = (x.abs() - widen(Elem::F16, u32::from(low)), top - x.abs());
    sign | if under < over || under == over && low & 1 == 0 {
        low
    } else {
        high
    }
}

fn widen(elem: Elem, bits: u32) -> f64 {
    match elem {
        Elem::F32 | Elem::U32 => f64::from(f32::from_bits(bits)),
        Elem::Bf16 => f64::from(f32::from_bits(bits << 16)),
        Elem::F16 => {
            let (sign, exponent, rest) = (bits >> 15, bits >> 10 & 31, f64::from(bits & 1023));
            let size = match exponent {
                0 => rest * 2f64.powi(-24),
                31 if rest == 0.0 => f64::INFINITY,
                31 => f64::NAN,
                e => (1.0 + rest / 1024.0) * 2f64.powi(e as i32 - 15),
            };
            if sign == 1 { -size } else { size }
        }
    }
}

/// Values as they are in memory of a type.
pub(crate) fn rounded(elem: Elem, values: &[f64]) -> Vec<f64> {
    values
        .iter()
        .map(|x| widen(elem, narrow(elem, *x)))
        .collect()
}

/// 2^-14.
const SMALLEST_NORMAL_F16: f64 = 6.103_515_625e-5;

/// Elements before and behind a buffer that nobody may touch.
const GUARD: usize = 32;
/// NaN in every type, also as halves.
const POISON: u32 = 0x7fff_7fff;

/// A buffer on the GPU.
pub(crate) struct Buffer<'a> {
    gpu: &'a Gpu,
    memory: Memory,
    elem: Elem,
    len: usize,
    /// Elements before the first.
    shift: usize,
}

impl Buffer<'_> {
    pub(crate) fn view(&self) -> View<'_> {
        let offset = (GUARD + self.shift) * self.elem.size();
        self.memory.view(offset, self.len, self.elem).unwrap()
    }

    fn words(&self) -> Vec<u32> {
        self.memory
            .all(Elem::U32)
            .unwrap()
            .read::<u32>(self.gpu)
            .unwrap()
    }

    /// Every element as bits; panics where a guard was overwritten.
    pub(crate) fn bits(&self) -> Vec<u32> {
        let words = self.words();
        let all: Vec<u32> = match self.elem.size() {
            4 => words,
            _ => words.iter().flat_map(|w| [w & 0xffff, w >> 16]).collect(),
        };
        let begin = GUARD + self.shift;
        let poison = if self.elem.size() == 4 {
            POISON
        } else {
            POISON & 0xffff
        };
        let outside = all[..begin].iter().chain(&all[begin + self.len..]);
        assert!(
            outside.clone().all(|x| *x == poison),
            "written outside of a buffer"
        );
        all[begin..begin + self.len].to_vec()
    }

    pub(crate) fn values(&self) -> Vec<f64> {
        self.bits()
            .iter()
            .map(|bits| widen(self.elem, *bits))
            .collect()
    }

    /// All elements near `want`; the rounding of the type is allowed on top.
    #[track_caller]
    pub(crate) fn close(&self, what: &str, want: &[f64], tolerance: f64) {
        let largest = want.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        if self.elem == Elem::F16 && largest < SMALLEST_NORMAL_F16 {
            // Nothing here has a whole mantissa: what is left is the distance of neighbours.
            let near =
                |(got, want): (&f64, &f64)| (got - want).abs() <= SMALLEST_NORMAL_F16 / 512.0;
            let values = self.values();
            assert!(values.iter().zip(want).all(near), "{what}: {values:?}");
            return;
        }
        let all = tolerance + rounding(self.elem);
        close(
            &format!("{what} {:?}", self.elem),
            &self.values(),
            want,
            all,
        );
    }
}

/// A GPU for tests.
pub(crate) struct Bench {
    pub(crate) gpu: Gpu,
    /// Buffers begin so many elements behind an aligned place.
    pub(crate) shift: usize,
}

impl Bench {
    /// `None`, and a line of why, where there is no GPU.
    #[allow(clippy::print_stderr, reason = "a test that could not run says so")]
    pub(crate) fn new(what: &str) -> Option<Self> {
        match Gpu::new(0) {
            Ok(gpu) => Some(Self { gpu, shift: 0 }),
            Err(error) => {
                eprintln!("{what}: not run: {error}");
                None
            }
        }
    }

    /// The same with buffers that are not aligned.
    pub(crate) fn shifted(self, shift: usize) -> Self {
        Self { shift, ..self }
    }

    fn buffer(&self, elem: Elem, len: usize, bits: &[u32], shift: usize) -> Buffer<'_> {
        let all = (2 * GUARD + shift + len).next_multiple_of(2);
        let poison = if elem.size() == 4 {
            POISON
        } else {
            POISON & 0xffff
        };
        let mut words = vec![poison; all];
        words[GUARD + shift..][..bits.len()].copy_from_slice(bits);
        if elem.size() == 2 {
            words = words.chunks(2).map(|two| two[0] | two[1] << 16).collect();
        }
        Buffer {
            memory: Memory::from_slice(&self.gpu, &words).unwrap(),
            gpu: &self.gpu,
            elem,
            len,
            shift,
        }
    }

    /// A buffer of NaN.
    pub(crate) fn empty(&self, elem: Elem, len: usize) -> Buffer<'_> {
        self.buffer(elem, len, &[], self.shift)
    }
    /// Scratch: aligned, NaN.
    pub(crate) fn scratch(&self, len: usize) -> Buffer<'_> {
        self.buffer(Elem::F32, len, &[], 0)
    }
    /// A buffer with values, rounded to the type.
    pub(crate) fn put(&self, elem: Elem, values: &[f64]) -> Buffer<'_> {
        let bits: Vec<u32> = values.iter().map(|x| narrow(elem, *x)).collect();
        self.buffer(elem, values.len(), &bits, self.shift)
    }
    /// A buffer of integers.
    pub(crate) fn integers(&self, values: &[u32]) -> Buffer<'_> {
        self.buffer(Elem::U32, values.len(), values, self.shift)
    }

    /// Two runs have the same bits.
    #[track_caller]
    pub(crate) fn same_twice<'a>(&'a self, run: impl Fn() -> Vec<Buffer<'a>>) {
        let bits = |run: Vec<Buffer<'_>>| run.iter().map(Buffer::bits).collect::<Vec<_>>();
        assert!(bits(run()) == bits(run()), "two runs have other bits");
    }
}

#[test]
fn rounding_is_to_the_nearest() {
    for (elem, x, want) in [
        (Elem::Bf16, 1.0 + 1.0 / 256.0, 1.0),
        (Elem::Bf16, 1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
        (Elem::F16, 1.0 + 1.0 / 2048.0, 1.0),
        (Elem::F16, -1.0 - 3.0 / 2048.0, -1.0 - 4.0 / 2048.0),
        (Elem::F16, 1e6, f64::INFINITY),
        (Elem::F16, 3e-8, 2f64.powi(-24)),
        (Elem::F16, 65_504.0, 65_504.0),
    ] {
        assert_eq!(rounded(elem, &[x]), [want], "{elem:?} {x}");
    }
}
