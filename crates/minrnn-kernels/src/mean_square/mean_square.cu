// Weighted mean of squared differences and its gradient in one pass. Scratch is f64: WEIGHT_PARTS sums of weights, then the
// weighted squares of each block. The gradient, not the loss, is multiplied by `scale[0]`, where there is one.

#include "cuda/weights.cuh"

// The number of weights to divide by: at least the smallest normal number.
__device__ __forceinline__ double divisor(const float *weights, const double *parts, i64 n, int w) {
    return fmax(total_weight(weights, parts, n), 1.17549435e-38) * w;
}

constexpr int PACKS = 2;

template <class Y, class D, int VEC>
__device__ __forceinline__ void mean_square(const Y *y, const float *targets, const float *weights, double *scratch, D *dy,
                                            const float *scale, i64 n, int w) {
    __shared__ double shared[32];
    const i64 elements = n * w, first = (i64(blockIdx.x) * PACKS * 256 + threadIdx.x) * VEC;
    const double slope = 2.0 / divisor(weights, scratch, n, w);
    const float times = scale ? scale[0] : 1.0f;
    double sum = 0;
#pragma unroll
    for (int i = 0; i < PACKS; i++) {
        const i64 begin = first + i64(i) * 256 * VEC;
        if (begin >= elements) break;
        float values[VEC], wanted[VEC];
#pragma unroll
        for (int j = 0; j < VEC; j++) values[j] = wanted[j] = 0;
        if (begin + VEC <= elements) {
            load(values, y + begin);
            if (targets) load(wanted, targets + begin);
        } else {
            for (int j = 0; j < VEC; j++)
                if (begin + j < elements) {
                    values[j] = wide(y[begin + j]);
                    if (targets) wanted[j] = targets[begin + j];
                }
        }
        i64 row = begin / w;
        int column = begin % w;
        float weight = weights ? weights[row] : 1.0f;
#pragma unroll
        for (int j = 0; j < VEC; j++) {
            if (column == w) {
                column = 0;
                row++;
                if (weights && row < n) weight = weights[row];
            }
            column++;
            float difference = values[j] - wanted[j];
            sum += double(difference * difference) * weight;
            values[j] = difference * (float(weight * slope) * times);
        }
        if (!dy) continue;
        if (begin + VEC <= elements) {
            store(dy + begin, values);
        } else {
            for (int j = 0; j < VEC; j++)
                if (begin + j < elements) dy[begin + j] = narrow<D>(values[j]);
        }
    }
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) scratch[WEIGHT_PARTS + blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(256) mean_square_weights(const float *weights, double *partials, i64 n) {
    sum_weights(weights, partials, n);
}

extern "C" __global__ void __launch_bounds__(1024)
    mean_square_loss(const float *weights, const double *scratch, float *loss, i64 n, int w, i64 blocks) {
    const double by = divisor(weights, scratch, n, w), sum = sum_parts(scratch + WEIGHT_PARTS, blocks);
    if (threadIdx.x == 0) loss[0] = float(sum / by);
}

#define MEAN_SQUARE(Y, D, VEC)                                                                                       \
    extern "C" __global__ void __launch_bounds__(256)                                                                \
        mean_square_##Y##_##D##_v##VEC(const Y *y, const float *targets, const float *weights, double *scratch, D *dy, \
                                       const float *scale, i64 n, int w) {                                           \
        mean_square<Y, D, VEC>(y, targets, weights, scratch, dy, scale, n, w);                                       \
    }
#define BOTH(Y, D)       \
    MEAN_SQUARE(Y, D, 4) \
    MEAN_SQUARE(Y, D, 1)

BOTH(f32, f32)
BOTH(f32, bf16)
BOTH(f32, f16)
BOTH(bf16, bf16)
BOTH(bf16, f32)
BOTH(f16, f16)
BOTH(f16, f32)
