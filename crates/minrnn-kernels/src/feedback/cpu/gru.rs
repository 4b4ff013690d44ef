//! One step of a GRU.

use super::gates::{sigmoid, tanh};
use super::{Back, Step};

#[inline(always)]
pub(super) fn step(s: Step<'_>) {
    let d = s.h.len();
    let [xr, xz, xn] = thirds(s.x, d);
    let [hr, hz, hn] = thirds(s.moved, d);
    let mut gate = |j: usize| {
        let (r, z) = (sigmoid(xr[j] + hr[j]), sigmoid(xz[j] + hz[j]));
        let n = tanh(xn[j] + r * hn[j]);
        s.h[j] = (s.h[j] - n) * z + n;
        [r, z, n]
    };
    if s.saved.is_empty() {
        for j in 0..d {
            gate(j);
        }
        return;
    }
    let (rs, rest) = s.saved.split_at_mut(d);
    let (zs, rest) = rest.split_at_mut(d);
    let (ns, products) = rest.split_at_mut(d);
    for j in 0..d {
        [rs[j], zs[j], ns[j]] = gate(j);
    }
    products.copy_from_slice(hn);
}

#[inline(always)]
pub(super) fn back(b: Back<'_>) {
    let d = b.h.len();
    let (rs, rest) = b.saved.split_at(d);
    let [zs, ns, products] = thirds(rest, d);
    let (before, later) = (&b.h[..d], &mut b.dh[..d]);
    let (dxr, rest) = b.dx.split_at_mut(d);
    let (dxz, dxn) = rest.split_at_mut(d);
    let (dhr, rest) = b.dmoved.split_at_mut(d);
    let (dhz, dhn) = rest.split_at_mut(d);
    let (rs, dxn, dhn) = (&rs[..d], &mut dxn[..d], &mut dhn[..d]);
    for j in 0..d {
        let (r, z, n, grad) = (rs[j], zs[j], ns[j], later[j]);
        let dn = grad * (1.0 - z) * (1.0 - n * n);
        let dz = grad * (before[j] - n) * z * (1.0 - z);
        let dr = dn * products[j] * r * (1.0 - r);
        (dxr[j], dxz[j], dxn[j]) = (dr, dz, dn);
        (dhr[j], dhz[j], dhn[j]) = (dr, dz, dn * r);
        later[j] = grad * z;
    }
}

#[inline(always)]
fn thirds(x: &[f32], d: usize) -> [&[f32]; 3] {
    let (first, rest) = x.split_at(d);
    let (second, third) = rest.split_at(d);
    [first, second, &third[..d]]
}
