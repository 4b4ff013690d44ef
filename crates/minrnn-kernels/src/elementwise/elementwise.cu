// Primitives without a layer of their own: one element a thread, any mixture of element types, f32 arithmetic.
//
// They carry what no fused kernel takes; types are read at run time, the same branch in every thread.

#include "cuda/elements.cuh"
#include "cuda/reduce.cuh"

enum Type { F32 = 0, BF16 = 1, F16 = 2 };

__device__ __forceinline__ float get(const void *from, i64 i, int type) {
    if (type == F32) return static_cast<const float *>(from)[i];
    if (type == BF16) return wide(static_cast<const bf16 *>(from)[i]);
    return wide(static_cast<const f16 *>(from)[i]);
}

__device__ __forceinline__ void put(void *to, i64 i, int type, float x, int add) {
    if (add) x += get(to, i, type);
    if (type == F32) static_cast<float *>(to)[i] = x;
    else if (type == BF16) static_cast<bf16 *>(to)[i] = narrow<bf16>(x);
    else static_cast<f16 *>(to)[i] = narrow<f16>(x);
}

#define EACH(i, n) \
    for (i64 i = blockIdx.x * (i64)blockDim.x + threadIdx.x; i < (n); i += (i64)gridDim.x * blockDim.x)

// A thread asks for several elements before it writes the first: WHAT(i, j) is done for all of them, then THEN(i, j).
constexpr int AHEAD = 4;
#define EACH_AHEAD(n, WHAT, THEN)                                                                                  \
    const i64 all = (i64)gridDim.x * blockDim.x;                                                                   \
    for (i64 first = blockIdx.x * (i64)blockDim.x + threadIdx.x; first < (n); first += AHEAD * all) {              \
        _Pragma("unroll") for (int j = 0; j < AHEAD; j++) {                                                        \
            const i64 i = first + j * all;                                                                         \
            if (i < (n)) { WHAT; }                                                                                 \
        }                                                                                                          \
        _Pragma("unroll") for (int j = 0; j < AHEAD; j++) {                                                        \
            const i64 i = first + j * all;                                                                         \
            if (i < (n)) { THEN; }                                                                                 \
        }                                                                                                          \
    }

__device__ __forceinline__ float logistic(float x) {
    float e = expf(-fabsf(x));
    return (x >= 0 ? 1.0f : e) / (1.0f + e);
}

// Numbers of the functions: minrnn_kernels::elementwise::cuda::Map1.
__device__ float map1(int f, float x, float mul, float add) {
    switch (f) {
    case 0: return x;
    case 1: return __fadd_rn(__fmul_rn(x, mul), add);
    case 2: return -x;
    case 3: return fabsf(x);
    case 4: return x > 0 || x != x ? x : 0;
    case 5: return logistic(x);
    case 6: return tanhf(x);
    case 7: return expf(x);
    case 8: return sqrtf(x);
    case 9: return erff(x);
    case 10: return logf(x);
    case 12: return sinf(x);
    case 13: return cosf(x);
    default: return (x > 0 || x != x ? x : 0) + log1pf(expf(-fabsf(x)));
    }
}

__device__ float slope1(int f, float x, float mul) {
    switch (f) {
    case 0: return 1;
    case 1: return mul;
    case 2: return -1;
    case 3: return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f;
    case 4: return x > 0 ? 1.0f : 0.0f;
    case 5: return logistic(x) * logistic(-x);
    case 6: {
        float t = tanhf(x);
        return 1 - t * t;
    }
    case 7: return expf(x);
    case 8: return 0.5f / sqrtf(x);
    case 9: return 1.12837917f * expf(-x * x);
    case 10: return 1 / x;
    case 12: return cosf(x);
    case 13: return -sinf(x);
    default: return logistic(x);
    }
}

// y (+)= f(x)
extern "C" __global__ void map1_fwd(int f, float mul, float add, const void *x, int tx, void *y, int ty, int sum, i64 n) {
    float from[AHEAD];
    EACH_AHEAD(n, from[j] = get(x, i, tx), put(y, i, ty, map1(f, from[j], mul, add), sum))
}

// dx (+)= f'(x) dy
extern "C" __global__ void map1_bwd(int f, float mul, const void *x, int tx, const void *dy, int tdy, void *dx, int tdx,
                                    int sum, i64 n) {
    float from[AHEAD], d[AHEAD];
    EACH_AHEAD(n, (from[j] = get(x, i, tx), d[j] = get(dy, i, tdy)), put(dx, i, tdx, slope1(f, from[j], mul) * d[j], sum))
}

// Numbers of the functions: minrnn_kernels::elementwise::cuda::Map2.
__device__ float map2(int f, float a, float b) {
    switch (f) {
    case 0: return a + b;
    case 1: return a - b;
    case 2: return a * b;
    case 3: return a / b;
    case 4: return a != a || a <= b ? a : b;
    default: return a != a || a >= b ? a : b;
    }
}

__device__ float slope2(int f, int which, float a, float b) {
    switch (f) {
    case 0: return 1;
    case 1: return which ? -1.0f : 1.0f;
    case 2: return which ? a : b;
    case 3: return which ? -a / (b * b) : 1 / b;
    case 4: return (a <= b) == (which == 0) ? 1.0f : 0.0f;
    default: return (a >= b) == (which == 0) ? 1.0f : 0.0f;
    }
}

// y = f(a, b); an argument of width 1 (wa, wb) is repeated over the row.
extern "C" __global__ void map2_fwd(int f, const void *a, int ta, int wa, const void *b, int tb, int wb, void *y, int ty,
                                    int width, i64 n) {
    float left[AHEAD], right[AHEAD];
    EACH_AHEAD(n, (left[j] = get(a, wa == 1 ? i / width : i, ta), right[j] = get(b, wb == 1 ? i / width : i, tb)),
               put(y, i, ty, map2(f, left[j], right[j]), 0))
}

// Gradient of one argument as wide as y.
extern "C" __global__ void map2_bwd(int f, int which, const void *a, int ta, int wa, const void *b, int tb, int wb,
                                    const void *dy, int tdy, void *dx, int tdx, int sum, int width, i64 n) {
    float left[AHEAD], right[AHEAD], d[AHEAD];
    EACH_AHEAD(n,
               (left[j] = get(a, wa == 1 ? i / width : i, ta), right[j] = get(b, wb == 1 ? i / width : i, tb), d[j] = get(dy, i, tdy)),
               put(dx, i, tdx, slope2(f, which, left[j], right[j]) * d[j], sum))
}

// Gradient of one argument of width 1: one warp a row, lanes in the order of a fixed tree.
extern "C" __global__ void map2_bwd_row(int f, int which, const void *a, int ta, int wa, const void *b, int tb, int wb,
                                        const void *dy, int tdy, void *dx, int tdx, int sum, int width, i64 rows) {
    int lane = threadIdx.x % 32;
    for (i64 row = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32; row < rows; row += (i64)gridDim.x * blockDim.x / 32) {
        float total = 0;
        for (int j = lane; j < width; j += 32) {
            i64 i = row * width + j;
            float left = get(a, wa == 1 ? row : i, ta), right = get(b, wb == 1 ? row : i, tb);
            total += slope2(f, which, left, right) * get(dy, i, tdy);
        }
        for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(~0u, total, step);
        if (lane == 0) put(dx, row, tdx, total, sum);
    }
}

// y (+)= x + p, or x * p, p one row.
extern "C" __global__ void vec_fwd(int multiply, const void *x, int tx, const float *p, void *y, int ty, int sum, int width,
                                   i64 n) {
    EACH(i, n) {
        float value = get(x, i, tx), q = p[i % width];
        put(y, i, ty, multiply ? value * q : value + q, sum);
    }
}

// Sum over the channels, divided: one warp a row.
extern "C" __global__ void reduce_fwd(float divisor, const void *x, int tx, void *y, int ty, int width, i64 rows) {
    int lane = threadIdx.x % 32;
    for (i64 row = (blockIdx.x * (i64)blockDim.x + threadIdx.x) / 32; row < rows; row += (i64)gridDim.x * blockDim.x / 32) {
        float total = 0;
        for (int j = lane; j < width; j += 32) total += get(x, row * width + j, tx);
        for (int step = 16; step > 0; step /= 2) total += __shfl_xor_sync(~0u, total, step);
        if (lane == 0) put(y, row, ty, total / divisor, 0);
    }
}

extern "C" __global__ void reduce_bwd(float divisor, const void *dy, int tdy, void *dx, int tdx, int sum, int width, i64 n) {
    EACH(i, n) put(dx, i, tdx, get(dy, i / width, tdy) / divisor, sum);
}

// Columns of one matrix to columns of another.
extern "C" __global__ void copy_columns(const void *x, int tx, i64 stride_x, i64 from, void *y, int ty, i64 stride_y, i64 to,
                                        int sum, int width, i64 n) {
    EACH(i, n) {
        i64 row = i / width, j = i % width;
        put(y, row * stride_y + to + j, ty, get(x, row * stride_x + from + j, tx), sum);
    }
}

// y[t] = x[t - by]; before the begin, the last rows of the state [B, lag, W], or zeros.
extern "C" __global__ void delay_fwd(const void *x, int tx, const float *state, void *y, int ty, int time, int width, int lag,
                                     int by, i64 n) {
    EACH(i, n) {
        i64 row = i / width, j = i % width, b = row / time, t = row % time;
        float value = t >= by ? get(x, i - (i64)by * width, tx) : state ? state[(b * lag + lag + t - by) * width + j] : 0.0f;
        put(y, i, ty, value, 0);
    }
}

// dx[t] (+)= dy[t + by]
extern "C" __global__ void delay_bwd(const void *dy, int tdy, void *dx, int tdx, int sum, int time, int width, int by, i64 n) {
    EACH(i, n) {
        i64 t = i / width % time;
        put(dx, i, tdx, t + by < time ? get(dy, i + (i64)by * width, tdy) : 0.0f, sum);
    }
}

// dstate[lag - by + t] += dy[t] for t < by: what reached the state.
extern "C" __global__ void delay_bwd_state(const void *dy, int tdy, float *dstate, int time, int width, int lag, int by, i64 n) {
    int reached = by < time ? by : time;
    EACH(i, n) {
        i64 j = i % width, t = i / width % reached, b = i / width / reached;
        dstate[(b * lag + lag + t - by) * width + j] += get(dy, (b * time + t) * width + j, tdy);
    }
}

// Last step of each row; lens null: of all steps.
extern "C" __global__ void last_fwd(const void *x, int tx, const uint32_t *lens, void *y, int ty, int time, int width, i64 n) {
    EACH(i, n) {
        i64 b = i / width, t = (lens ? (i64)lens[b] : time) - 1;
        put(y, i, ty, get(x, (b * time + t) * width + i % width, tx), 0);
    }
}

// The last rows [B, lag, W] of each sequence; where x has fewer, of those before it, or zeros.
extern "C" __global__ void keep(const void *x, int tx, const float *before, float *y, int time, int width, int lag, i64 n) {
    EACH(i, n) {
        i64 j = i % width, row = i / width % lag, b = i / width / lag, t = time + row - lag;
        y[i] = t >= 0 ? get(x, (b * time + t) * width + j, tx) : before ? before[(b * lag + time + row) * width + j] : 0.0f;
    }
}

extern "C" __global__ void last_bwd(const void *dy, int tdy, const uint32_t *lens, void *dx, int tdx, int sum, int time,
                                    int width, i64 n) {
    EACH(i, n) {
        i64 row = i / width, b = row / time, t = row % time;
        bool here = t == (lens ? (i64)lens[b] : time) - 1;
        put(dx, i, tdx, here ? get(dy, b * width + i % width, tdy) : 0.0f, sum);
    }
}

// average += share (x - average), all of it where share is 1, where nothing is latched but that a step was left out (4): its
// parameters are those of the step before.
extern "C" __global__ void average(const float *x, float *average, float share, const uint32_t *latch, i64 n) {
    if (latch[3] != 0 && latch[3] != 4) return;
    EACH(i, n) average[i] = share == 1.0f ? x[i] : average[i] + share * (x[i] - average[i]);
}

// Every row becomes p.
extern "C" __global__ void repeat(const float *p, float *y, int width, i64 n) {
    EACH(i, n) y[i] = p[i % width];
}

// Each `block` neighbouring channels of x, `times` times one after the other; `width` channels of x.
extern "C" __global__ void repeat_fwd(const void *x, int tx, void *y, int ty, int width, int block, int times, i64 n) {
    const i64 wide = i64(width) * times, run = i64(block) * times;
    EACH(i, n) {
        i64 row = i / wide, j = i % wide;
        put(y, i, ty, get(x, row * width + j / run * block + j % block, tx), 0);
    }
}

// dx (+)= the sum over the copies, the first one first.
extern "C" __global__ void repeat_bwd(const void *dy, int tdy, void *dx, int tdx, int sum, int width, int block, int times, i64 n) {
    EACH(i, n) {
        i64 row = i / width, j = i % width, from = (row * width + j / block * block) * times + j % block;
        float total = 0;
        for (int k = 0; k < times; k++) total += get(dy, from + i64(k) * block, tdy);
        put(dx, i, tdx, total, sum);
    }
}
