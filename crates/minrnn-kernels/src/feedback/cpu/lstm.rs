//! One step of an LSTM.

use super::gates::{sigmoid, tanh};
use super::{Back, Step};

#[inline(always)]
pub(super) fn step(s: Step<'_>) {
    let d = s.h.len();
    let (x, moved) = (&s.x[..4 * d], &s.moved[..4 * d]);
    let (h, c) = (&mut s.h[..d], &mut s.c[..d]);
    let mut gate = |j: usize| {
        let sum = |part: usize| x[part * d + j] + moved[part * d + j];
        let (i, f) = (sigmoid(sum(0)), sigmoid(sum(1)));
        let (g, o) = (tanh(sum(2)), sigmoid(sum(3)));
        c[j] = f * c[j] + i * g;
        h[j] = o * tanh(c[j]);
        [i, f, g, o, c[j]]
    };
    if s.saved.is_empty() {
        for j in 0..d {
            gate(j);
        }
        return;
    }
    let saved = &mut s.saved[..5 * d];
    for j in 0..d {
        for (part, value) in gate(j).into_iter().enumerate() {
            saved[part * d + j] = value;
        }
    }
}

#[inline(always)]
pub(super) fn back(b: Back<'_>) {
    let d = b.h.len();
    let saved = &b.saved[..5 * d];
    let (before, later, later_c) = (&b.c[..d], &mut b.dh[..d], &mut b.dc[..d]);
    let (dx, moved) = (&mut b.dx[..4 * d], &mut b.dmoved[..4 * d]);
    for j in 0..d {
        let [i, f, g, o, c] = [0, 1, 2, 3, 4].map(|part| saved[part * d + j]);
        let (tanh, grad) = (tanh(c), later[j]);
        let dc = grad * o * (1.0 - tanh * tanh) + later_c[j];
        dx[j] = dc * g * i * (1.0 - i);
        dx[d + j] = dc * before[j] * f * (1.0 - f);
        dx[2 * d + j] = dc * i * (1.0 - g * g);
        dx[3 * d + j] = grad * tanh * o * (1.0 - o);
        (later[j], later_c[j]) = (0.0, dc * f);
    }
    moved.copy_from_slice(dx);
}
