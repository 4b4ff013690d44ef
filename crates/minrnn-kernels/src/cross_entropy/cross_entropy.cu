// Weighted mean cross entropy and the gradient of the logits in one pass. A row of weight 0 is not looked at. Scratch is
// f64: WEIGHT_PARTS sums of weights, then the weighted loss of each block. The gradient, not the loss, is multiplied by
// `scale[0]`, where there is one.

#include "cuda/weights.cuh"

// The loss of a row, given its maximum, the sum of e^(x - top) over all but the target, and the target's logit: the
// target is kept out of the sum so that the loss of a certain and right row keeps its digits.
__device__ __forceinline__ float row_loss(float top, float others, float target) {
    return target == top ? log1pf(others) : logf(others + fast_exp(target - top)) + (top - target);
}

// The number of lanes that share a row of a small vocabulary.
constexpr int LANES = 8;

// Rows through shared memory: one contiguous copy in, one out. A warp takes rows 8 apart, for fewer conflicts of banks.
template <class L, class D>
__device__ __forceinline__ void small_rows(const L *logits, const uint32_t *targets, const float *weights,
                                           const double *weight_parts, double *losses, D *dlogits, const float *scale, i64 n, int v,
                                           int rows) {
    DYNAMIC_SHARED(float, tile);
    __shared__ double shared[32];
    constexpr int IN = 16 / sizeof(L), OUT = 16 / sizeof(D);
    const i64 first = i64(blockIdx.x) * rows;
    const int here = n - first < rows ? int(n - first) : rows, count = here * v;
    const L *from = logits + first * v;
    const int in_packs = (reinterpret_cast<uintptr_t>(from) & 15) == 0 ? count / IN : 0;
    for (int i = threadIdx.x; i < in_packs; i += blockDim.x) {
        float values[IN];
        load(values, from + i64(i) * IN);
#pragma unroll
        for (int j = 0; j < IN; j++) tile[i * IN + j] = values[j];
    }
    for (int i = in_packs * IN + threadIdx.x; i < count; i += blockDim.x) tile[i] = wide(from[i]);
    const double each = 1.0 / total_weight(weights, weight_parts, n);
    const float times = scale ? scale[0] : 1.0f;
    __syncthreads();

    const int lane = threadIdx.x % LANES, place = threadIdx.x / 32 + threadIdx.x % 32 / LANES * 8;
    double loss = 0;
    for (int turn = 0; turn < rows; turn += 32) {
        const int r = turn + place;
        const bool inside = r < here;
        const float weight = !inside ? 0.0f : weights ? weights[first + r] : 1.0f;
        const bool used = weight > 0;
        const uint32_t target = used ? targets[first + r] : 0;
        float *row = tile + i64(r) * v;
        const float wanted = used && target < v ? row[target] : __int_as_float(0x7fffffff);
        float top = __int_as_float(0xff800000);
        if (used)
            for (int c = lane; c < v; c += LANES) top = fmaxf(top, row[c]);
        top = warp_max<LANES>(top);
        float others = 0, self = 0;
        if (used)
            for (int c = lane; c < v; c += LANES) {
                float e = fast_exp(row[c] - top);
                row[c] = e;
                if (c == target) self = e;
                else others += e;
            }
        others = warp_sum<LANES>(others);
        self = warp_sum<LANES>(self);
        if (lane == 0 && used) loss += double(weight) * row_loss(top, others, wanted);
        if (inside) {
            const float share = 1.0f / (others + self), factor = float(weight * each) * times;
            for (int c = lane; c < v; c += LANES)
                row[c] = !used ? 0.0f : (c == target ? -others : row[c]) * share * factor;
        }
    }
    loss = block_sum(loss, shared);
    if (threadIdx.x == 0) losses[blockIdx.x] = loss;
    if (!dlogits) return;
    D *to = dlogits + first * v;
    const int out_packs = (reinterpret_cast<uintptr_t>(to) & 15) == 0 ? count / OUT : 0;
    for (int i = threadIdx.x; i < out_packs; i += blockDim.x) {
        float values[OUT];
#pragma unroll
        for (int j = 0; j < OUT; j++) values[j] = tile[i * OUT + j];
        store(to + i64(i) * OUT, values);
    }
    for (int i = out_packs * OUT + threadIdx.x; i < count; i += blockDim.x) to[i] = narrow<D>(tile[i]);
}

// A maximum with the sum of e^(x - maximum).
struct Share {
    float top, sum;

    // Where nothing was seen but -inf, differences to the maximum would be NaN: 0 stands in.
    __device__ static float base(float top) { return top == __int_as_float(0xff800000) ? 0.0f : top; }
    __device__ void merge(float other_top, float other_sum) {
        float both = fmaxf(top, other_top), b = base(both);
        sum = sum * fast_exp(top - b) + other_sum * fast_exp(other_top - b);
        top = both;
    }
};

// A block for a row; it is read a second time for the gradient.
template <class L, class D, int VEC>
__device__ __forceinline__ void wide_row(const L *logits, const uint32_t *targets, const float *weights,
                                         const double *weight_parts, double *losses, D *dlogits, const float *scale, i64 n,
                                         int v) {
    __shared__ float tops[32], sums[32];
    const i64 row = blockIdx.x;
    const float weight = weights ? weights[row] : 1.0f;
    const L *from = logits + row * v;
    D *to = dlogits + row * v;
    if (!(weight > 0)) {
        if (threadIdx.x == 0) losses[row] = 0;
        if (dlogits)
            for (int c = threadIdx.x; c < v; c += blockDim.x) to[c] = narrow<D>(0.0f);
        return;
    }
    const uint32_t target = targets[row];
    const float wanted = target < v ? wide(from[target]) : __int_as_float(0x7fffffff);
    Share share = {__int_as_float(0xff800000), 0};
#pragma unroll 4
    for (int c = threadIdx.x * VEC; c < v; c += blockDim.x * VEC) {
        float x[VEC];
        load(x, from + c);
        float top = x[0];
#pragma unroll
        for (int j = 1; j < VEC; j++) top = fmaxf(top, x[j]);
        top = fmaxf(top, share.top);
        const float base = Share::base(top);
        float sum = share.sum * fast_exp(share.top - base);
#pragma unroll
        for (int j = 0; j < VEC; j++) sum += c + j == target ? 0.0f : fast_exp(x[j] - base);
        share = {top, sum};
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        float top = __shfl_xor_sync(ALL, share.top, step), sum = __shfl_xor_sync(ALL, share.sum, step);
        // The same order in both lanes: the same bits.
        if (threadIdx.x & step) {
            Share other = {top, sum};
            other.merge(share.top, share.sum);
            share = other;
        } else {
            share.merge(top, sum);
        }
    }
    if (threadIdx.x % 32 == 0) {
        tops[threadIdx.x / 32] = share.top;
        sums[threadIdx.x / 32] = share.sum;
    }
    __syncthreads();
    share = {tops[0], sums[0]};
    for (int w = 1; w < blockDim.x / 32; w++) share.merge(tops[w], sums[w]);
    // A row of -inf only has no shares.
    const float top = share.top, others = top == __int_as_float(0xff800000) ? __int_as_float(0x7fffffff) : share.sum;
    const double total = total_weight(weights, weight_parts, n);
    if (threadIdx.x == 0) losses[row] = double(weight) * row_loss(top, others, wanted);
    if (!dlogits) return;
    const float self = fast_exp(wanted - top), inverse = 1.0f / (others + self);
    const float factor = float(weight / total) * (scale ? scale[0] : 1.0f);
#pragma unroll 4
    for (int c = threadIdx.x * VEC; c < v; c += blockDim.x * VEC) {
        float x[VEC];
        load(x, from + c);
#pragma unroll
        for (int j = 0; j < VEC; j++) x[j] = (c + j == target ? -others : fast_exp(x[j] - top)) * inverse * factor;
        store(to + c, x);
    }
}

// Targets that count and are the first largest logit of their row; a NaN is largest only in the first place. A warp a row;
// counts [blocks].
template <class L>
__device__ __forceinline__ void correct(const L *logits, const uint32_t *targets, const float *weights, uint32_t *counts, i64 n,
                                        int v) {
    __shared__ int shared[32];
    const i64 row = i64(blockIdx.x) * 8 + threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    int hit = 0;
    if (row < n && !(weights && weights[row] == 0)) {
        const L *from = logits + row * v;
        float best = __int_as_float(0xff800000);
        int at = 0x7fffffff;
        for (int c = lane; c < v; c += 32) {
            float x = wide(from[c]);
            if (x > best) {
                best = x;
                at = c;
            }
        }
#pragma unroll
        for (int step = 16; step > 0; step /= 2) {
            float other = __shfl_xor_sync(ALL, best, step);
            int other_at = __shfl_xor_sync(ALL, at, step);
            if (other > best || (other == best && other_at < at)) {
                best = other;
                at = other_at;
            }
        }
        const float first = wide(from[0]);
        if (first != first || at == 0x7fffffff) at = 0;
        hit = lane == 0 && targets[row] == uint32_t(at);
    }
    hit = block_sum(hit, shared);
    if (threadIdx.x == 0) counts[blockIdx.x] = hit;
}

extern "C" __global__ void __launch_bounds__(256) cross_entropy_weights(const float *weights, double *partials, i64 n) {
    sum_weights(weights, partials, n);
}

extern "C" __global__ void __launch_bounds__(1024)
    cross_entropy_loss(const float *weights, const double *scratch, float *loss, i64 n, i64 blocks) {
    const double total = total_weight(weights, scratch, n), sum = sum_parts(scratch + WEIGHT_PARTS, blocks);
    if (threadIdx.x == 0) loss[0] = float(sum / total);
}

extern "C" __global__ void __launch_bounds__(1024) cross_entropy_count(const uint32_t *counts, uint32_t *out, i64 blocks) {
    __shared__ uint32_t shared[32];
    uint32_t sum = 0;
    for (i64 i = threadIdx.x; i < blocks; i += blockDim.x) sum += counts[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) out[0] = sum;
}

#define ROWS(L, D, VEC)                                                                                              \
    extern "C" __global__ void __launch_bounds__(1024)                                                               \
        cross_entropy_wide_##L##_##D##_v##VEC(const L *logits, const uint32_t *targets, const float *weights,        \
                                              double *scratch, D *dlogits, const float *scale, i64 n, int v) {       \
        wide_row<L, D, VEC>(logits, targets, weights, scratch, scratch + WEIGHT_PARTS, dlogits, scale, n, v);        \
    }
#define STEP(L, D, VEC)                                                                                              \
    extern "C" __global__ void __launch_bounds__(256)                                                                \
        cross_entropy_small_##L##_##D(const L *logits, const uint32_t *targets, const float *weights,                \
                                      double *scratch, D *dlogits, const float *scale, i64 n, int v, int rows) {     \
        small_rows<L, D>(logits, targets, weights, scratch, scratch + WEIGHT_PARTS, dlogits, scale, n, v, rows);     \
    }                                                                                                                \
    ROWS(L, D, VEC)                                                                                                  \
    ROWS(L, D, 1)
#define CORRECT(L)                                                                                                   \
    extern "C" __global__ void __launch_bounds__(256) cross_entropy_correct_##L(                                     \
        const L *logits, const uint32_t *targets, const float *weights, uint32_t *counts, i64 n, int v) {            \
        correct<L>(logits, targets, weights, counts, n, v);                                                          \
    }

STEP(f32, f32, 4)
STEP(f32, bf16, 4)
STEP(f32, f16, 4)
STEP(bf16, bf16, 8)
STEP(bf16, f32, 8)
STEP(f16, f16, 8)
STEP(f16, f32, 8)
CORRECT(f32)
CORRECT(bf16)
CORRECT(f16)
