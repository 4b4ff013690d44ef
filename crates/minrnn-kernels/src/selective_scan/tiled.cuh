// The selective scan of channels that have 16 states and a step size of their own (Mamba's). `selective_scan.cu` has what computes every
// other shape; results differ from its in rounding alone.
//
// A warp has 32 channels, a thread four states of four of them in registers: what goes to b and c, or comes from them, is read and summed
// once for four channels, what belongs to channels once for four states. Time goes by in stretches of 16 steps, of which the next is on
// its way into shared memory while one is computed. The backward pass computes a stretch three times: to the states before every fourth
// step; then, four steps at a time, the last first, to each state; then back. Sums have a fixed order.
//
// Where that is too few blocks for the GPU, time is cut into segments: `ends` computes what each makes of zeros, `join` what each begins
// with, for which the decay of a whole segment is the exponential of the sum of its step sizes; then all segments run at once.
#pragma once

#include "cuda/elements.cuh"
#include "cuda/reduce.cuh"

namespace tiled {

constexpr int STATES = 16, STRETCH = 16, SUB = 4, WARPS = 4, CHANNELS = 32 * WARPS, THREADS = CHANNELS;
constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

__device__ __forceinline__ float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Four elements from global into shared memory in the background; zeros where `on` is false.
template <class E> __device__ __forceinline__ void ask(E *to, const E *from, bool on) {
    const unsigned at = (unsigned)__cvta_generic_to_shared(to);
    const int size = on ? 4 * sizeof(E) : 0;
    if constexpr (sizeof(E) == 4)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(size) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(at), "l"(from), "r"(size) : "memory");
}
__device__ __forceinline__ void asked() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most OPEN batches are on their way.
template <int OPEN> __device__ __forceinline__ void answered() { asm volatile("cp.async.wait_group %0;" ::"n"(OPEN) : "memory"); }

template <class E> __device__ __forceinline__ void quad(float (&to)[4], const E *from) {
    Pack<E, 4> pack;
    pack.fetch(from);
    pack.spread(to);
}

// Rows of 16 steps.
template <class E> struct Steps {
    E at[STRETCH][CHANNELS];
    __device__ __forceinline__ void ask_for(const E *from, i64 stride, int channel, int width, int steps) {
#pragma unroll
        for (int k = 0; k < STRETCH / WARPS; k++) {
            const int t = k * WARPS + threadIdx.x / 32, i = threadIdx.x % 32 * 4;
            const bool on = t < steps && channel + i < width;
            ask(&at[t][i], on ? from + t * stride + i : from, on);
        }
    }
};
template <class E> struct Shared {
    E at[STRETCH][STATES];
    __device__ __forceinline__ void ask_for(const E *from, i64 stride, int steps) {
        const int t = threadIdx.x % 64 / 4, i = threadIdx.x % 4 * 4;
        ask(&at[t][i], t < steps ? from + t * stride + i : from, t < steps);
    }
};

// What the states need of a stretch.
template <class E> struct Fed {
    Steps<float> step;
    Steps<E> x;
    Shared<E> b;
};

// Where a thread is, and what it reads.
template <class E> struct Place {
    const float *step;
    const E *x, *b, *c;
    i64 stride_step, stride_x, stride_b, stride_c, D;
    // Of the block's channels in its group, of its first one; the thread's four channels and four states; the one that it writes.
    int channel, width, sequence, group, block, T, own, four, states;
    // Of time: which segment of how many, of how many stretches each.
    int segment, segments, length;

    __device__ __forceinline__ int first() const { return segment * length; }
    // Behind its last stretch.
    __device__ __forceinline__ int past() const { return min(first() + length, (T - 1) / STRETCH + 1); }
    __device__ __forceinline__ i64 part() const { return i64(sequence) * segments + segment; }
    __device__ __forceinline__ i64 row(int t) const { return i64(sequence) * T + t; }
    // Whether the channel that this thread writes is one; its number.
    __device__ __forceinline__ bool on() const { return channel + own < width; }
    __device__ __forceinline__ i64 d() const { return i64(group) * width + channel + own; }
    // Of the thread's four channels.
    __device__ __forceinline__ bool some() const { return channel + four < width; }
    __device__ __forceinline__ i64 at(i64 row, int i) const {
        return (row * D + i64(group) * width + channel + four + i) * STATES + states;
    }
    __device__ __forceinline__ void load(float (&h)[4][4], const float *from, i64 row) const {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float4 v = from && some() ? *reinterpret_cast<const float4 *>(from + at(row, i)) : float4{0, 0, 0, 0};
            h[i][0] = v.x, h[i][1] = v.y, h[i][2] = v.z, h[i][3] = v.w;
        }
    }
    __device__ __forceinline__ void store(float *to, i64 row, const float (&h)[4][4]) const {
        if (!some()) return;
#pragma unroll
        for (int i = 0; i < 4; i++) *reinterpret_cast<float4 *>(to + at(row, i)) = float4{h[i][0], h[i][1], h[i][2], h[i][3]};
    }
    // exp2 of these times a step size is the decay.
    __device__ __forceinline__ void rates(float (&rate)[4][4], const float *log_rates) const {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) rate[i][j] = some() ? -LOG2_E * expf(log_rates[at(0, i) + j]) : 0.0f;
    }
    __device__ __forceinline__ void ask_for(Fed<E> &to, int from) const {
        const int steps = T - from;
        const i64 d = i64(group) * width + channel;
        to.step.ask_for(step + row(from) * stride_step + d, stride_step, channel, width, steps);
        to.x.ask_for(x + row(from) * stride_x + d, stride_x, channel, width, steps);
        if (threadIdx.x < 64) to.b.ask_for(b + row(from) * stride_b + group * STATES, stride_b, steps);
    }
};

template <class E> __device__ __forceinline__ void advance(const Place<E> &at, const Fed<E> &fed, int t, const float (&rate)[4][4],
                                                           const float (&before)[4][4], float (&h)[4][4]) {
    float s[4], x[4], b[4];
    quad(s, &fed.step.at[t][at.four]);
    quad(x, &fed.x.at[t][at.four]);
    quad(b, &fed.b.at[t][at.states]);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float in = s[i] * x[i];
#pragma unroll
        for (int j = 0; j < 4; j++) h[i][j] = exp2_fast(s[i] * rate[i][j]) * before[i][j] + in * b[j];
    }
}

// Sums over the four threads that share channels: each gets that of the channel which it writes.
__device__ __forceinline__ float sum_states(const float (&x)[4]) {
    const bool upper = threadIdx.x & 2, odd = threadIdx.x & 1;
    const float low = (upper ? x[2] : x[0]) + __shfl_xor_sync(ALL, upper ? x[0] : x[2], 2);
    const float high = (upper ? x[3] : x[1]) + __shfl_xor_sync(ALL, upper ? x[1] : x[3], 2);
    return (odd ? high : low) + __shfl_xor_sync(ALL, odd ? low : high, 1);
}

// Sums of two rows over the eight threads that share states: threads 0 to 15 of a warp get those of the first, the others of the second,
// each that of state `sum_channels_of()`.
__device__ __forceinline__ float sum_channels(const float (&x)[4], const float (&y)[4]) {
    const bool second = threadIdx.x & 16, upper = threadIdx.x & 8, odd = threadIdx.x & 4;
    float z[4];
#pragma unroll
    for (int j = 0; j < 4; j++) z[j] = (second ? y[j] : x[j]) + __shfl_xor_sync(ALL, second ? x[j] : y[j], 16);
    const float low = (upper ? z[2] : z[0]) + __shfl_xor_sync(ALL, upper ? z[0] : z[2], 8);
    const float high = (upper ? z[3] : z[1]) + __shfl_xor_sync(ALL, upper ? z[1] : z[3], 8);
    return (odd ? high : low) + __shfl_xor_sync(ALL, odd ? low : high, 4);
}
__device__ __forceinline__ int sum_channels_of() { return threadIdx.x % 4 * 4 + threadIdx.x / 4 % 4; }

} // namespace tiled
