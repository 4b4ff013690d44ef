//! Convolution along the steps.

use super::super::{Cpu, Rows, RowsMut, convolution};
use super::{Random, SIZES, assert_same};

#[test]
fn a_convolution_is_its_sum_in_order_on_every_instruction_set() {
    let mut random = Random(3);
    for width in SIZES {
        for (taps, steps) in [(1, 3), (2, 1), (7, 5), (40, 2)] {
            let window = random.values((steps + taps - 1) * width);
            let weights = random.values(taps * width);
            let mut wanted = vec![0.0f32; steps * width];
            for (at, sum) in wanted.iter_mut().enumerate() {
                let (t, c) = (at / width, at % width);
                for j in 0..taps {
                    *sum += window[(t + j) * width + c] * weights[j * width + c];
                }
            }
            for cpu in Cpu::all() {
                let mut out = vec![f32::NAN; steps * width];
                let window = Rows::dense(&window, steps + taps - 1);
                let weights = Rows::dense(&weights, taps);
                convolution(cpu, window, weights, RowsMut::dense(&mut out, steps));
                let what = format!("{} of {width}, {taps} taps, {steps} steps", cpu.name());
                assert_same(&out, &wanted, what);
            }
        }
    }
}
