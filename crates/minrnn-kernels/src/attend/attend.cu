// Causal attention over a window; `slow.rs` beside this file is the definition, `mask.rs` what its dropout is.
//
// Scores of 64 steps and 64 rows are sums in registers, computed by the tensor cores; nothing of T x T is in memory, and the backward pass
// computes them again. No sum depends on chance: each has one thread, which adds in order.

#include "attend/backward.cuh"

// Rows before the run, and those of the run behind them: [B, front + T, W] in the run's type, `front - lag` rows of zeros first.
template <class T>
__device__ __forceinline__ void join(const float *window, const T *kv, T *to, i64 count, int front, int lag, int time, int width,
                                     int stride) {
    for (i64 i = blockIdx.x * i64(blockDim.x) + threadIdx.x; i < count; i += i64(gridDim.x) * blockDim.x) {
        const int c = int(i % width), row = int(i / width % (front + time)) - front;
        const i64 sequence = i / width / (front + time);
        T value = narrow<T>(0.0f);
        if (row >= 0) value = kv[(sequence * time + row) * stride + c];
        else if (row >= -lag) value = narrow<T>(window[(sequence * lag + lag + row) * width + c]);
        to[i] = value;
    }
}

#define JOIN(T)                                                                                                                        \
    extern "C" __global__ void __launch_bounds__(256) attend_join_##T(const float *window, const T *kv, T *to, i64 count, int front,     \
                                                                     int lag, int time, int width, int stride) {                       \
        join<T>(window, kv, to, count, front, lag, time, width, stride);                                                               \
    }

#define SIZES                                                                                                                          \
    int time, int heads, int p, int lag, int past, int front, int q_stride, int kv_stride, int dkv_stride, float scale, int whole
#define THE_SIZES {time, heads, p, lag, past, front, q_stride, kv_stride, dkv_stride, scale, whole != 0}
#define MASK const uint32_t *control, uint32_t threshold, float keep, uint32_t site
#define ATTEND(M, NAME, T, WIDTH)                                                                                                      \
    extern "C" __global__ void __launch_bounds__(THREADS, WIDTH <= 64 ? 3 : 2)                                                                              \
        attend_fwd_##NAME##_##WIDTH(const T *__restrict__ q, const T *__restrict__ kv, const float *__restrict__ n, T *y, float *sums,   \
                                    MASK, SIZES) {                                                                                     \
        const Sizes s = THE_SIZES;                                                                                                     \
        attend_forward<M, WIDTH>(q, kv, n, y, sums, Dropout(control, site, threshold, keep), s);                                       \
    }                                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS, WIDTH <= 64 ? 3 : 2) attend_queries_##NAME##_##WIDTH(                                             \
        const T *__restrict__ q, const T *__restrict__ kv, const float *__restrict__ n, const T *__restrict__ y,                       \
        const float *__restrict__ sums, const T *__restrict__ dy, T *dq, float *delta, MASK, SIZES) {                                  \
        const Sizes s = THE_SIZES;                                                                                                     \
        attend_queries<M, WIDTH>(q, kv, n, y, sums, dy, dq, delta, Dropout(control, site, threshold, keep), s);                        \
    }                                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS, WIDTH <= 64 ? 3 : 2)                                                                              \
        attend_rows_##NAME##_##WIDTH(const T *__restrict__ q, const T *__restrict__ kv, const float *__restrict__ n,                   \
                                     const float *__restrict__ sums, const T *__restrict__ dy, const float *__restrict__ delta,        \
                                     T *dkv, MASK, SIZES) {                                                                            \
        const Sizes s = THE_SIZES;                                                                                                     \
        attend_rows<M, WIDTH>(q, kv, n, sums, dy, delta, dkv, Dropout(control, site, threshold, keep), s);                             \
    }
#define WIDTHS(M, NAME, T)  \
    ATTEND(M, NAME, T, 32)  \
    ATTEND(M, NAME, T, 64)  \
    ATTEND(M, NAME, T, 128)

JOIN(f32)
JOIN(bf16)
JOIN(f16)
WIDTHS(InBf16, bf16, bf16)
WIDTHS(InF16, f16, f16)
WIDTHS(InTf32, tf32, f32)
WIDTHS(InF32, f32, f32)
