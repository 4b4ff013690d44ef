use candle_core::{DType, Device, Tensor};

use super::cpu::{Mask, philox};
use super::{Draw, dropout};

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
    let x = Tensor::ones(10_001, DType::F32, &Device::Cpu).unwrap();
    let mask = |step, site| {
        let draw = Draw {
            seed: 3,
            step,
            site,
        };
        dropout(&x, 0.25, draw).unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(mask(1, 0), mask(1, 0));
    assert!(mask(1, 0) != mask(2, 0) && mask(1, 0) != mask(1, 1));
    let kept = mask(1, 0).iter().filter(|v| **v != 0.0).count();
    assert!((7300..7700).contains(&kept), "{kept} of 10001 kept");
    assert!(mask(1, 0).iter().all(|v| *v == 0.0 || *v == 1.0 / 0.75));
}

/// Wherever a part begins and ends.
#[test]
fn factors_drawn_in_parts_are_those_of_the_mask() {
    let draw = Draw {
        seed: 9,
        step: 1 << 40,
        site: 3,
    };
    let want = super::mask(draw, 0.3, 1000);
    for (from, len) in [
        (0, 1000),
        (1, 2),
        (3, 1),
        (5, 300),
        (64, 64),
        (998, 2),
        (7, 0),
    ] {
        let mut got = vec![1.0; len];
        Mask::new(draw, 0.3).apply(from, &mut got);
        assert_eq!(got, want[from..from + len], "{from} {len}");
    }
}
