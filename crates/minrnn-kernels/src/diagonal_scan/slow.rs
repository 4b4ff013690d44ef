//! The diagonal scan as it is defined, in float64, one value after the other; all states are kept.

use super::Size;

/// What a scan reads.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// `[B,T,D]`.
    pub x: &'a [f64],
    /// Logarithms of the step sizes, `[D]`.
    pub log_step: &'a [f64],
    /// Logarithms of -re A, `[D N/2]`.
    pub log_rates: &'a [f64],
    /// im A, `[D N/2]`.
    pub frequencies: &'a [f64],
    /// C, `[re | im]`, `[D N]`.
    pub readout: &'a [f64],
    /// `[D]`.
    pub skip: &'a [f64],
    /// `[re | im]`, `[B,D N]`.
    pub h0: &'a [f64],
}

/// Gradients of what a scan reads, shaped alike.
#[derive(Debug, Clone)]
pub struct Grads {
    /// Of x.
    pub x: Vec<f64>,
    /// Of the logarithms of the step sizes.
    pub log_step: Vec<f64>,
    /// Of the logarithms of -re A.
    pub log_rates: Vec<f64>,
    /// Of im A.
    pub frequencies: Vec<f64>,
    /// Of C.
    pub readout: Vec<f64>,
    /// Of the skip.
    pub skip: Vec<f64>,
    /// Of h0.
    pub h0: Vec<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Complex {
    re: f64,
    im: f64,
}

impl Complex {
    const ZERO: Self = Self { re: 0.0, im: 0.0 };

    fn times(self, y: Self) -> Self {
        Self {
            re: self.re * y.re - self.im * y.im,
            im: self.re * y.im + self.im * y.re,
        }
    }
    fn plus(self, y: Self) -> Self {
        Self {
            re: self.re + y.re,
            im: self.im + y.im,
        }
    }
    fn scaled(self, by: f64) -> Self {
        Self {
            re: self.re * by,
            im: self.im * by,
        }
    }
    fn conjugate(self) -> Self {
        Self {
            re: self.re,
            im: -self.im,
        }
    }
    fn over(self, y: Self) -> Self {
        let square = y.re * y.re + y.im * y.im;
        self.times(y.conjugate()).scaled(1.0 / square)
    }
}

/// A state's parameters, discretised: step size, A, `exp(s A)` and `(exp(s A) - 1) / A`.
struct Held {
    step: f64,
    a: Complex,
    decay: Complex,
    input: Complex,
}

fn held(i: &Inputs<'_>, channel: usize, k: usize) -> Held {
    let step = libm::exp(i.log_step[channel]);
    let a = Complex {
        re: -libm::exp(i.log_rates[k]),
        im: i.frequencies[k],
    };
    let z = a.scaled(step);
    let size = libm::exp(z.re);
    let decay = Complex {
        re: size * libm::cos(z.im),
        im: size * libm::sin(z.im),
    };
    let less = Complex {
        re: libm::expm1(z.re) * libm::cos(z.im) - 2.0 * libm::sin(0.5 * z.im).powi(2),
        im: decay.im,
    };
    Held {
        step,
        a,
        decay,
        input: less.over(a),
    }
}

fn number(of: &[f64], at: usize, wide: usize) -> Complex {
    Complex {
        re: of[at],
        im: of[wide + at],
    }
}

/// y `[B,T,D]` and all states `[B,T,D N]`, `[re | im]`.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn diagonal_scan(i: &Inputs<'_>, size: Size) -> (Vec<f64>, Vec<f64>) {
    let (wide, state) = (size.wide(), size.state());
    let mut y: Vec<f64> = (i.x.iter().enumerate())
        .map(|(at, x)| x * i.skip[at % size.channels])
        .collect();
    let mut all = vec![0.0; size.rows() * state];
    for channel in 0..size.channels {
        for k in channel * size.pairs..(channel + 1) * size.pairs {
            let Held { decay, input, .. } = held(i, channel, k);
            for row in 0..size.rows() {
                let before = before(i, &all, row, k, size);
                let x = i.x[row * size.channels + channel];
                let h = decay.times(before).plus(input.scaled(x));
                (all[row * state + k], all[row * state + wide + k]) = (h.re, h.im);
                let read = number(i.readout, k, wide).times(h);
                y[row * size.channels + channel] += 2.0 * read.re;
            }
        }
    }
    (y, all)
}

/// State k before a row.
fn before(i: &Inputs<'_>, all: &[f64], row: usize, k: usize, size: Size) -> Complex {
    let (wide, state) = (size.wide(), size.state());
    match row % size.time {
        0 => number(&i.h0[row / size.time * state..], k, wide),
        _ => number(&all[(row - 1) * state..], k, wide),
    }
}

/// Of all states those that are kept for the backward pass, `[B, kept, D N]`.
///
/// # Panics
/// If there are not as many as `size` says.
pub fn marks(all: &[f64], size: Size) -> Vec<f64> {
    let state = size.state();
    let row = |i: usize| {
        let (sequence, kept) = (i / size.kept(), i % size.kept());
        sequence * size.time + (kept + 1) * super::EVERY - 1
    };
    (0..size.batch * size.kept())
        .flat_map(|i| all[row(i) * state..][..state].to_vec())
        .collect()
}

/// The gradients, given all states, the gradient `dy` of y and that of all states `[B,T,D N]` from elsewhere.
///
/// # Panics
/// If a slice is not as long as `size` says.
pub fn diagonal_scan_grad(
    i: &Inputs<'_>,
    all: &[f64],
    dy: &[f64],
    dh: Option<&[f64]>,
    size: Size,
) -> Grads {
    let (wide, state) = (size.wide(), size.state());
    let zeros = |of: &[f64]| vec![0.0; of.len()];
    let mut grads = Grads {
        x: zeros(i.x),
        log_step: zeros(i.log_step),
        log_rates: zeros(i.log_rates),
        frequencies: zeros(i.frequencies),
        readout: zeros(i.readout),
        skip: zeros(i.skip),
        h0: zeros(i.h0),
    };
    for (at, d) in dy.iter().enumerate() {
        let channel = at % size.channels;
        grads.x[at] += d * i.skip[channel];
        grads.skip[channel] += d * i.x[at];
    }
    for channel in 0..size.channels {
        for k in channel * size.pairs..(channel + 1) * size.pairs {
            let held = held(i, channel, k);
            // Of the decay, of the input's factor, and of C; the gradient of a complex number is that of its parts.
            let [mut of_decay, mut of_input, mut of_c] = [Complex::ZERO; 3];
            let mut later = Complex::ZERO;
            for row in (0..size.rows()).rev() {
                let (x, d) = (
                    i.x[row * size.channels + channel],
                    dy[row * size.channels + channel],
                );
                if (row + 1) % size.time == 0 {
                    later = Complex::ZERO;
                }
                let c = number(i.readout, k, wide);
                let mut g = c.conjugate().scaled(2.0 * d).plus(later);
                if let Some(dh) = dh {
                    g = g.plus(number(&dh[row * state..], k, wide));
                }
                let h = number(&all[row * state..], k, wide);
                of_c = of_c.plus(h.conjugate().scaled(2.0 * d));
                of_input = of_input.plus(g.scaled(x));
                let before = before(i, all, row, k, size);
                of_decay = of_decay.plus(before.conjugate().times(g));
                let input = held.input;
                grads.x[row * size.channels + channel] += g.re * input.re + g.im * input.im;
                later = held.decay.conjugate().times(g);
                if row % size.time == 0 {
                    let at = row / size.time * state + k;
                    (grads.h0[at], grads.h0[at + wide]) = (later.re, later.im);
                }
            }
            (grads.readout[k], grads.readout[wide + k]) = (of_c.re, of_c.im);
            // z = s A gives the decay e = exp(z), whose slope is e, and (e - 1) / A.
            let slope = held.decay.over(held.a).conjugate();
            let of_z = held.decay.conjugate().times(of_decay);
            let of_z = of_z.plus(slope.times(of_input));
            let direct = held.input.over(held.a).conjugate().times(of_input);
            let of_a = of_z.scaled(held.step).plus(direct.scaled(-1.0));
            grads.log_rates[k] = of_a.re * held.a.re;
            grads.frequencies[k] = of_a.im;
            grads.log_step[channel] += held.a.conjugate().times(of_z).re * held.step;
        }
    }
    grads
}
