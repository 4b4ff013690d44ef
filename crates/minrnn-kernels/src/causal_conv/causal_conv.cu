// Depthwise causal convolution over time. A thread walks VEC channels along a segment of steps with the last TAPS - 1
// values in registers; several segments lie in a block, so that the values shared by neighbours come from its cache.

#include "cuda/elements.cuh"

constexpr int AHEAD = 4;

// Sizes: x [b,t,w], `k` taps, segments of `steps` steps.
struct Size {
    int b, t, w, k, steps;

    __device__ __forceinline__ int segments() const { return (t + steps - 1) / steps; }
};

// w[0] * window[0] + .. + w[TAPS-1] * x + bias: each product and each sum is rounded, in this order, as on the CPU.
template <class C, int TAPS, int VEC>
__device__ __forceinline__ void forward(const C *x, const float *state, const float *weight, const float *bias, C *y,
                                        Size size) {
    const int c = (blockIdx.y * blockDim.x + threadIdx.x) * VEC;
    const i64 item = i64(blockIdx.x) * blockDim.y + threadIdx.y;
    const int segments = size.segments();
    if (c >= size.w || item >= i64(size.b) * segments) return;
    const int sequence = item / segments, begin = item % segments * size.steps;
    const int end = min(begin + size.steps, size.t);
    const i64 base = i64(sequence) * size.t * size.w + c;

    float taps[TAPS][VEC], bias_row[VEC], window[TAPS][VEC];
#pragma unroll
    for (int j = 0; j < TAPS; j++) load_parameter(taps[j], weight + i64(j) * size.w + c);
    if (bias) load_parameter(bias_row, bias + c);
    // The place of step t in the window is TAPS - 1 when its turn comes; the values before it are loaded here.
#pragma unroll
    for (int j = 0; j < TAPS - 1; j++) {
        int t = begin - (TAPS - 1) + j;
        if (t >= 0) {
            load(window[j], x + base + i64(t) * size.w);
        } else if (state) {
            load_parameter(window[j], state + (i64(sequence) * (TAPS - 1) + t + TAPS - 1) * size.w + c);
        } else {
#pragma unroll
            for (int v = 0; v < VEC; v++) window[j][v] = 0;
        }
    }
    for (int from = begin; from < end; from += AHEAD) {
        Pack<C, VEC> packs[AHEAD];
#pragma unroll
        for (int i = 0; i < AHEAD; i++)
            if (from + i < end) packs[i].fetch(x + base + i64(from + i) * size.w);
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            if (from + i >= end) break;
            packs[i].spread(window[TAPS - 1]);
            float out[VEC];
#pragma unroll
            for (int v = 0; v < VEC; v++) {
                out[v] = __fmul_rn(taps[0][v], window[0][v]);
#pragma unroll
                for (int j = 1; j < TAPS; j++) out[v] = __fadd_rn(out[v], __fmul_rn(taps[j][v], window[j][v]));
                if (bias) out[v] = __fadd_rn(out[v], bias_row[v]);
#pragma unroll
                for (int j = 0; j + 1 < TAPS; j++) window[j][v] = window[j + 1][v];
            }
            store(y + base + i64(from + i) * size.w, out);
        }
    }
}

// Any number of taps: a thread for an element.
template <class C>
__device__ __forceinline__ void forward_any(const C *x, const float *state, const float *weight, const float *bias, C *y,
                                            Size size) {
    const i64 at = i64(blockIdx.x) * blockDim.x + threadIdx.x, row = at / size.w;
    if (row >= i64(size.b) * size.t) return;
    const int c = at % size.w, sequence = row / size.t, step = row % size.t;
    float sum = 0;
    for (int j = 0; j < size.k; j++) {
        int t = step - (size.k - 1) + j;
        float value = t >= 0   ? wide(x[(i64(sequence) * size.t + t) * size.w + c])
                      : state ? state[(i64(sequence) * (size.k - 1) + t + size.k - 1) * size.w + c]
                              : 0.0f;
        float product = __fmul_rn(weight[i64(j) * size.w + c], value);
        sum = j == 0 ? product : __fadd_rn(sum, product);
    }
    y[at] = narrow<C>(bias ? __fadd_rn(sum, bias[c]) : sum);
}

// Row s of state followed by x sends back sum_j w[j] * dy[s - j] and adds its value * dy[s - j] to the gradient of tap j:
// both need dy[s - TAPS + 1 ..= s] only. partials [gridDim.y, TAPS + 1, w]: the gradients of the taps, then of the bias.
template <class C, int TAPS, int VEC>
__device__ __forceinline__ void backward(const C *x, const float *state, const float *weight, const C *dy, C *dx,
                                         float *dstate, float *partials, Size size) {
    DYNAMIC_SHARED(float, shared);
    const int c = (blockIdx.x * blockDim.x + threadIdx.x) * VEC;
    const int segments = size.segments();
    const i64 items = i64(size.b) * segments;
    float taps[TAPS][VEC], sums[TAPS + 1][VEC], window[TAPS][VEC];
#pragma unroll
    for (int j = 0; j <= TAPS; j++)
#pragma unroll
        for (int v = 0; v < VEC; v++) sums[j][v] = 0;
    if (c < size.w) {
#pragma unroll
        for (int j = 0; j < TAPS; j++) load_parameter(taps[j], weight + i64(j) * size.w + c);
    }
    for (i64 item = i64(blockIdx.y) * blockDim.y + threadIdx.y; c < size.w && item < items;
         item += i64(gridDim.y) * blockDim.y) {
        const int sequence = item / segments, segment = item % segments;
        const int begin = segment == 0 ? 0 : segment * size.steps + TAPS - 1;
        const int end = min((segment + 1) * size.steps, size.t) + TAPS - 1;
        const i64 base = i64(sequence) * size.t * size.w + c;
#pragma unroll
        for (int j = 0; j < TAPS - 1; j++) {
            int t = begin - (TAPS - 1) + j;
            if (t >= 0 && t < size.t) {
                load(window[j], dy + base + i64(t) * size.w);
            } else {
#pragma unroll
                for (int v = 0; v < VEC; v++) window[j][v] = 0;
            }
        }
        for (int from = begin; from < end; from += AHEAD) {
            Pack<C, VEC> x_packs[AHEAD], dy_packs[AHEAD];
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                int s = from + i, t = s - (TAPS - 1);
                dy_packs[i].clear();
                if (s < end && s < size.t) dy_packs[i].fetch(dy + base + i64(s) * size.w);
                if (s < end && t >= 0) x_packs[i].fetch(x + base + i64(t) * size.w);
            }
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                int s = from + i, t = s - (TAPS - 1);
                if (s >= end) break;
                dy_packs[i].spread(window[TAPS - 1]);
                float value[VEC], back[VEC];
#pragma unroll
                for (int v = 0; v < VEC; v++) value[v] = 0;
                if (t >= 0) {
                    x_packs[i].spread(value);
                } else if (state) {
                    load_parameter(value, state + (i64(sequence) * (TAPS - 1) + s) * size.w + c);
                }
#pragma unroll
                for (int v = 0; v < VEC; v++) {
                    back[v] = 0;
#pragma unroll
                    for (int j = 0; j < TAPS; j++) {
                        float d = window[TAPS - 1 - j][v];
                        back[v] = fmaf(taps[j][v], d, back[v]);
                        sums[j][v] = fmaf(value[v], d, sums[j][v]);
                    }
                    if (t >= 0) sums[TAPS][v] += window[0][v];
#pragma unroll
                    for (int j = 0; j + 1 < TAPS; j++) window[j][v] = window[j + 1][v];
                }
                if (t >= 0) {
                    store(dx + base + i64(t) * size.w, back);
                } else if (dstate) {
                    float *to = dstate + (i64(sequence) * (TAPS - 1) + s) * size.w + c;
#pragma unroll
                    for (int v = 0; v < VEC; v++) to[v] = back[v];
                }
            }
        }
    }
    // One row of sums after the other goes through shared memory.
    float *mine = shared + (threadIdx.y * blockDim.x + threadIdx.x) * VEC;
#pragma unroll
    for (int j = 0; j <= TAPS; j++) {
#pragma unroll
        for (int v = 0; v < VEC; v++) mine[v] = sums[j][v];
        __syncthreads();
        if (threadIdx.y == 0 && c < size.w) {
            for (int other = 1; other < blockDim.y; other++)
#pragma unroll
                for (int v = 0; v < VEC; v++) sums[j][v] += mine[other * blockDim.x * VEC + v];
#pragma unroll
            for (int v = 0; v < VEC; v++) partials[(i64(blockIdx.y) * (TAPS + 1) + j) * size.w + c + v] = sums[j][v];
        }
        __syncthreads();
    }
}

// Any number of taps: gradients of x and the state, a thread for an element.
template <class C>
__device__ __forceinline__ void backward_any(const float *weight, const C *dy, C *dx, float *dstate, Size size) {
    const i64 at = i64(blockIdx.x) * blockDim.x + threadIdx.x, row = at / size.w;
    const int rows = size.t + size.k - 1;
    if (row >= i64(size.b) * rows) return;
    const int c = at % size.w, sequence = row / rows, s = row % rows;
    float back = 0;
    for (int j = 0; j < size.k; j++)
        if (s - j >= 0 && s - j < size.t)
            back = fmaf(weight[i64(j) * size.w + c], wide(dy[(i64(sequence) * size.t + s - j) * size.w + c]), back);
    if (s >= size.k - 1) {
        dx[(i64(sequence) * size.t + s - (size.k - 1)) * size.w + c] = narrow<C>(back);
    } else if (dstate) {
        dstate[(i64(sequence) * (size.k - 1) + s) * size.w + c] = back;
    }
}

// Any number of taps: blockIdx.z is the tap (k: the bias); partials as above.
template <class C>
__device__ __forceinline__ void weights_any(const C *x, const float *state, const C *dy, float *partials, Size size) {
    DYNAMIC_SHARED(float, shared);
    const int c = blockIdx.x * blockDim.x + threadIdx.x, j = blockIdx.z;
    const i64 rows = i64(size.b) * size.t;
    float sum = 0;
    for (i64 row = i64(blockIdx.y) * blockDim.y + threadIdx.y; c < size.w && row < rows;
         row += i64(gridDim.y) * blockDim.y) {
        const int sequence = row / size.t, step = row % size.t, t = step - (size.k - 1) + j;
        float value = 1;
        if (j < size.k)
            value = t >= 0   ? wide(x[(i64(sequence) * size.t + t) * size.w + c])
                    : state ? state[(i64(sequence) * (size.k - 1) + t + size.k - 1) * size.w + c]
                            : 0.0f;
        sum = fmaf(value, wide(dy[row * size.w + c]), sum);
    }
    float *mine = shared + threadIdx.y * blockDim.x + threadIdx.x;
    *mine = sum;
    __syncthreads();
    if (threadIdx.y != 0 || c >= size.w) return;
    for (int other = 1; other < blockDim.y; other++) sum += mine[other * blockDim.x];
    partials[(i64(blockIdx.y) * (size.k + 1) + j) * size.w + c] = sum;
}

#define KERNELS(C, TAPS, VEC)                                                                                          \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        causal_conv_fwd_##C##_k##TAPS##_v##VEC(const C *x, const float *state, const float *weight, const float *bias, \
                                               C *y, int b, int t, int w, int k, int steps) {                          \
        forward<C, TAPS, VEC>(x, state, weight, bias, y, {b, t, w, k, steps});                                         \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(128)                                                                  \
        causal_conv_bwd_##C##_k##TAPS##_v##VEC(const C *x, const float *state, const float *weight, const C *dy,       \
                                               C *dx, float *dstate, float *partials, int b, int t, int w, int k,      \
                                               int steps) {                                                            \
        backward<C, TAPS, VEC>(x, state, weight, dy, dx, dstate, partials, {b, t, w, k, steps});                       \
    }
#define TAPS(C, FEW, MANY) \
    KERNELS(C, 1, FEW)     \
    KERNELS(C, 2, FEW)     \
    KERNELS(C, 3, FEW)     \
    KERNELS(C, 4, FEW)     \
    KERNELS(C, 5, MANY)    \
    KERNELS(C, 6, MANY)    \
    KERNELS(C, 7, MANY)    \
    KERNELS(C, 8, MANY)
#define ANY(C)                                                                                                         \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        causal_conv_fwd_##C##_any(const C *x, const float *state, const float *weight, const float *bias, C *y, int b, \
                                  int t, int w, int k) {                                                               \
        forward_any<C>(x, state, weight, bias, y, {b, t, w, k, t});                                                    \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        causal_conv_bwd_##C##_any(const float *weight, const C *dy, C *dx, float *dstate, int b, int t, int w,         \
                                  int k) {                                                                             \
        backward_any<C>(weight, dy, dx, dstate, {b, t, w, k, t});                                                      \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(256)                                                                  \
        causal_conv_taps_##C##_any(const C *x, const float *state, const C *dy, float *partials, int b, int t, int w,  \
                                   int k) {                                                                            \
        weights_any<C>(x, state, dy, partials, {b, t, w, k, t});                                                       \
    }

TAPS(f32, 4, 4)
TAPS(f32, 1, 1)
TAPS(bf16, 8, 4)
TAPS(bf16, 1, 1)
TAPS(f16, 8, 4)
TAPS(f16, 1, 1)
ANY(f32)
ANY(bf16)
ANY(f16)
