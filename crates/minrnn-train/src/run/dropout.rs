//! Dropout from counter-based random numbers: the mask depends on (seed, step, site, index) only, so that it is the same on every
//! device, with any number of threads, and after a resume.

use candle_core::{Result, Tensor};

/// Where a run's masks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropout {
    /// Seed of the training.
    pub seed: u64,
    /// Step of the training.
    pub step: u64,
}

impl Dropout {
    /// `x / (1 - p)` where kept, 0 with probability p.
    pub(super) fn apply(&self, x: &Tensor, p: f64, site: usize) -> Result<Tensor> {
        if p == 0.0 {
            return Ok(x.clone());
        }
        let mask = mask(self.seed, self.step, site, p, x.elem_count());
        x.mul(&Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?)
    }
}

/// The factors of `len` elements at a site: 0 with probability p, else `1 / (1 - p)`.
pub(crate) fn mask(seed: u64, step: u64, site: usize, p: f64, len: usize) -> Vec<f32> {
    let keep = (1.0 / (1.0 - p)) as f32;
    let threshold = (p * 4_294_967_296.0) as u32;
    let key = [seed as u32, (seed >> 32) as u32];
    let mut mask = Vec::with_capacity(len + 3);
    for block in 0..len.div_ceil(4) as u64 {
        // 40 bits count blocks of the tensor, 24 bits sites; the step has 64 of its own.
        let place = block | (site as u64) << 40;
        let counter = [
            place as u32,
            (place >> 32) as u32,
            step as u32,
            (step >> 32) as u32,
        ];
        mask.extend(philox(counter, key).map(|bits| if bits < threshold { 0.0 } else { keep }));
    }
    mask.truncate(len);
    mask
}

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [
            key[0].wrapping_add(0x9E37_79B9),
            key[1].wrapping_add(0xBB67_AE85),
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Known answers published with the generator (Random123, `kat_vectors`).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(
            philox(pi, [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn masks_differ_by_step_and_site_and_keep_the_mean() {
        let x = Tensor::ones(10_001, candle_core::DType::F32, &Device::Cpu).unwrap();
        let mask = |step, site| {
            Dropout { seed: 3, step }
                .apply(&x, 0.25, site)
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        assert_eq!(mask(1, 0), mask(1, 0));
        assert!(mask(1, 0) != mask(2, 0) && mask(1, 0) != mask(1, 1));
        let kept = mask(1, 0).iter().filter(|v| **v != 0.0).count();
        assert!((7300..7700).contains(&kept), "{kept} of 10001 kept");
        assert!(mask(1, 0).iter().all(|v| *v == 0.0 || *v == 1.0 / 0.75));
    }
}
