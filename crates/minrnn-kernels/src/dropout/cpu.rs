//! Masks on the CPU.

use super::Draw;

/// The factors of `len` elements: 0 with probability p, else `1 / (1 - p)`.
pub fn mask(draw: Draw, p: f64, len: usize) -> Vec<f32> {
    let keep = (1.0 / (1.0 - p)) as f32;
    let threshold = (p * 4_294_967_296.0) as u32;
    let key = [draw.seed as u32, (draw.seed >> 32) as u32];
    let mut mask = Vec::with_capacity(len + 3);
    for block in 0..len.div_ceil(4) as u64 {
        // 40 bits count blocks of the tensor, 24 bits sites; the step has 64 of its own.
        let place = block | (draw.site as u64) << 40;
        let counter = [
            place as u32,
            (place >> 32) as u32,
            draw.step as u32,
            (draw.step >> 32) as u32,
        ];
        mask.extend(philox(counter, key).map(|bits| if bits < threshold { 0.0 } else { keep }));
    }
    mask.truncate(len);
    mask
}

/// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
pub(super) fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
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
