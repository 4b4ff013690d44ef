//! Discrete Fourier transforms over time, of as many channels side by side as a vector has lanes.
//!
//! Forwards by decimation in frequency, from the order of time to the order of bits reversed; backwards by decimation in time, from there to
//! time: products of transforms, which is what they are for, need no other order between. Two stages of radix 2 are one of radix 4.

/// Channels side by side: a line of the cache.
pub(super) const LANES: usize = 16;

/// Points that lie in the first cache together.
const NEAR: usize = 256;

/// A complex number for each lane.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Point {
    pub(super) re: [f32; LANES],
    pub(super) im: [f32; LANES],
}

impl Point {
    pub(super) const ZERO: Self = Self {
        re: [0.0; LANES],
        im: [0.0; LANES],
    };
}

/// A root of unity: cosine and sine.
type Root = [f32; 2];

/// `exp(-2 pi i k / n)` for k from 0 to n - 1.
pub(super) fn roots(n: usize) -> Vec<Root> {
    let root = |k: usize| {
        let angle = std::f64::consts::TAU * k as f64 / n as f64;
        [libm::cos(angle) as f32, -libm::sin(angle) as f32]
    };
    (0..n).map(root).collect()
}

/// From time to frequencies. `data` has as many points as there are roots, a power of two.
#[inline(always)]
pub(super) fn forwards(data: &mut [Point], roots: &[Root]) {
    let mut m = data.len();
    while m > NEAR {
        stage(data, m, roots, apart);
        m /= 4;
    }
    for part in data.chunks_exact_mut(m) {
        let mut m = m;
        while m >= 4 {
            stage(part, m, roots, apart);
            m /= 4;
        }
        if m == 2 {
            pairs(part);
        }
    }
}

/// From frequencies to time, each value times the number of points.
#[inline(always)]
pub(super) fn backwards(data: &mut [Point], roots: &[Root]) {
    let n = data.len();
    let mut near = n;
    while near > NEAR {
        near /= 4;
    }
    for part in data.chunks_exact_mut(near) {
        let odd = near.trailing_zeros() % 2 == 1;
        if odd {
            pairs(part);
        }
        let mut m = if odd { 8 } else { 4 };
        while m <= near {
            stage(part, m, roots, together);
            m *= 4;
        }
    }
    let mut m = near * 4;
    while m <= n {
        stage(data, m, roots, together);
        m *= 4;
    }
}

/// One stage of radix 4 over blocks of m points: [`apart`] on the way there, [`together`] on the way back, which undo each other but for
/// a factor of 4.
#[inline(always)]
fn stage(
    data: &mut [Point],
    m: usize,
    roots: &[Root],
    four: impl Fn([Point; 4], [Root; 3]) -> [Point; 4],
) {
    let (quarter, stride) = (m / 4, roots.len() / m);
    for block in data.chunks_exact_mut(m) {
        let (low, high) = block.split_at_mut(2 * quarter);
        let (p0, p1) = low.split_at_mut(quarter);
        let (p2, p3) = high.split_at_mut(quarter);
        for k in 0..quarter {
            let turns = [1, 2, 3].map(|i| roots[i * k * stride]);
            [p0[k], p1[k], p2[k], p3[k]] = four([p0[k], p1[k], p2[k], p3[k]], turns);
        }
    }
}

/// Four points of a block to their places in the quarters.
#[inline(always)]
fn apart([a, b, c, d]: [Point; 4], [one, two, three]: [Root; 3]) -> [Point; 4] {
    let [mut w, mut x, mut y, mut z] = [Point::ZERO; 4];
    for l in 0..LANES {
        let (sum_re, sum_im) = (a.re[l] + c.re[l], a.im[l] + c.im[l]);
        let (other_re, other_im) = (b.re[l] + d.re[l], b.im[l] + d.im[l]);
        w.re[l] = sum_re + other_re;
        w.im[l] = sum_im + other_im;
        let (re, im) = (sum_re - other_re, sum_im - other_im);
        x.re[l] = re * two[0] - im * two[1];
        x.im[l] = re * two[1] + im * two[0];
        let (sum_re, sum_im) = (a.re[l] - c.re[l], a.im[l] - c.im[l]);
        // -i (b - d).
        let (other_re, other_im) = (b.im[l] - d.im[l], d.re[l] - b.re[l]);
        let (re, im) = (sum_re + other_re, sum_im + other_im);
        y.re[l] = re * one[0] - im * one[1];
        y.im[l] = re * one[1] + im * one[0];
        let (re, im) = (sum_re - other_re, sum_im - other_im);
        z.re[l] = re * three[0] - im * three[1];
        z.im[l] = re * three[1] + im * three[0];
    }
    [w, x, y, z]
}

/// Back, by the conjugate roots.
#[inline(always)]
fn together([w, x, y, z]: [Point; 4], [one, two, three]: [Root; 3]) -> [Point; 4] {
    let [mut a, mut b, mut c, mut d] = [Point::ZERO; 4];
    for l in 0..LANES {
        let x_re = x.re[l] * two[0] + x.im[l] * two[1];
        let x_im = x.im[l] * two[0] - x.re[l] * two[1];
        let y_re = y.re[l] * one[0] + y.im[l] * one[1];
        let y_im = y.im[l] * one[0] - y.re[l] * one[1];
        let z_re = z.re[l] * three[0] + z.im[l] * three[1];
        let z_im = z.im[l] * three[0] - z.re[l] * three[1];
        let (even_re, even_im) = (w.re[l] + x_re, w.im[l] + x_im);
        let (odd_re, odd_im) = (w.re[l] - x_re, w.im[l] - x_im);
        let (sum_re, sum_im) = (y_re + z_re, y_im + z_im);
        // i (y - z).
        let (turned_re, turned_im) = (z_im - y_im, y_re - z_re);
        a.re[l] = even_re + sum_re;
        a.im[l] = even_im + sum_im;
        b.re[l] = odd_re + turned_re;
        b.im[l] = odd_im + turned_im;
        c.re[l] = even_re - sum_re;
        c.im[l] = even_im - sum_im;
        d.re[l] = odd_re - turned_re;
        d.im[l] = odd_im - turned_im;
    }
    [a, b, c, d]
}

/// Sum and difference of neighbours: the last stage forwards, the first backwards, where the points are an odd power of two.
#[inline(always)]
fn pairs(data: &mut [Point]) {
    for pair in data.chunks_exact_mut(2) {
        let (a, b) = (pair[0], pair[1]);
        for l in 0..LANES {
            pair[0].re[l] = a.re[l] + b.re[l];
            pair[0].im[l] = a.im[l] + b.im[l];
            pair[1].re[l] = a.re[l] - b.re[l];
            pair[1].im[l] = a.im[l] - b.im[l];
        }
    }
}
