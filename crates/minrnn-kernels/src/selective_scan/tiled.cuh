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

template <class E> struct Forward {
    Fed<E> fed[2];
    Shared<E> c[2];
};

template <class E>
__device__ __forceinline__ void forward(const Place<E> &at, const float *log_rates, const float *skip, const float *h0,
                                        const uint32_t *lens, E *y, float *last, float *marks) {
    DYNAMIC_SHARED(char, memory);
    Forward<E> &shared = *reinterpret_cast<Forward<E> *>(memory);
    const int T = at.T, kept = (T - 1) / STRETCH, len = lens ? int(lens[at.sequence]) : T;
    const float straight = at.on() ? skip[at.d()] : 0.0f;
    float rate[4][4], h[4][4];
    const int first = at.first(), past = at.past();
    at.rates(rate, log_rates);
    if (first > 0) at.load(h, marks, i64(at.sequence) * kept + first - 1);
    else at.load(h, h0, at.sequence);
    auto ask_for = [&](int k) {
        if (k < past) {
            at.ask_for(shared.fed[k % 2], k * STRETCH);
            if (threadIdx.x >= 64)
                shared.c[k % 2].ask_for(at.c + at.row(k * STRETCH) * at.stride_c + at.group * STATES, at.stride_c, T - k * STRETCH);
        }
        asked();
    };
    ask_for(first);
    for (int k = first; k < past; k++) {
        answered<0>();
        __syncthreads();
        ask_for(k + 1);
        const Fed<E> &fed = shared.fed[k % 2];
        if (marks && k > first) at.store(marks, i64(at.sequence) * kept + k - 1, h);
#pragma unroll 4
        for (int i = 0; i < STRETCH; i++) {
            const int t = k * STRETCH + i;
            advance(at, fed, i, rate, h, h);
            float c[4], part[4];
            quad(c, &shared.c[k % 2].at[i][at.states]);
#pragma unroll
            for (int j = 0; j < 4; j++) part[j] = h[j][0] * c[0] + h[j][1] * c[1] + h[j][2] * c[2] + h[j][3] * c[3];
            const float sum = sum_states(part) + wide(fed.x.at[i][at.own]) * straight;
            if (t < T && at.on()) y[at.row(t) * at.D + at.d()] = narrow<E>(sum);
            if (last && t + 1 == len) at.store(last, at.sequence, h);
        }
    }
}

// What a segment makes of zeros goes where the states that the next one begins with will be; the sums of its step sizes, D of them, into
// the place of the states before its last stretch, which come later.
template <class E> __device__ __forceinline__ void forward_ends(const Place<E> &at, const float *log_rates, float *marks) {
    DYNAMIC_SHARED(char, memory);
    Fed<E> *shared = reinterpret_cast<Fed<E> *>(memory);
    const int kept = (at.T - 1) / STRETCH, first = at.first(), past = at.past();
    if (past > kept) return;
    float rate[4][4], h[4][4] = {}, sum = 0;
    at.rates(rate, log_rates);
    at.ask_for(shared[first % 2], first * STRETCH);
    asked();
    for (int k = first; k < past; k++) {
        answered<0>();
        __syncthreads();
        if (k + 1 < past) at.ask_for(shared[(k + 1) % 2], (k + 1) * STRETCH);
        asked();
#pragma unroll 4
        for (int i = 0; i < STRETCH; i++) {
            advance(at, shared[k % 2], i, rate, h, h);
            sum += shared[k % 2].step.at[i][at.own];
        }
    }
    const i64 mark = i64(at.sequence) * kept + past - 1;
    at.store(marks, mark, h);
    if (at.on()) marks[(mark - 1) * at.D * STATES + at.d()] = sum;
}

// One state of one channel of one sequence, of `wide` states of a sequence.
__device__ __forceinline__ void forward_join(const float *log_rates, const float *h0, float *marks, int T, int segments, int length, int wide,
                                             i64 i) {
    const int kept = (T - 1) / STRETCH, own = int(i % wide);
    const i64 sequence = i / wide;
    const float rate = -LOG2_E * expf(log_rates[own]);
    float h = h0 ? h0[i] : 0.0f;
    for (int segment = 1; segment < segments; segment++) {
        const i64 mark = sequence * kept + segment * length - 1;
        const float sum = marks[(mark - 1) * wide + own / STATES];
        h = exp2_fast(rate * sum) * h + marks[mark * wide + own];
        marks[mark * wide + own] = h;
    }
}

template <class E> struct Backward {
    Fed<E> fed[2];
    Steps<E> dy;
    Shared<E> c;
    // States before steps 4, 8 and 12 of a stretch, each thread's; in the place of the last of them later sums over a warp's channels.
    float4 before[3][4][THREADS];

    __device__ __forceinline__ void keep(int mark, const float (&h)[4][4]) {
#pragma unroll
        for (int i = 0; i < 4; i++) before[mark][i][threadIdx.x] = float4{h[i][0], h[i][1], h[i][2], h[i][3]};
    }
    __device__ __forceinline__ void take(int mark, float (&h)[4][4]) const {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float4 v = before[mark][i][threadIdx.x];
            h[i][0] = v.x, h[i][1] = v.y, h[i][2] = v.z, h[i][3] = v.w;
        }
    }
    // 16 sums for b, then 16 for c.
    __device__ __forceinline__ float *sums(int t, int warp) {
        return reinterpret_cast<float *>(&before[2][t / 4][warp * 32]) + t % 4 * 32;
    }
};

template <class E>
__device__ __forceinline__ void backward(const Place<E> &at, const float *log_rates, const float *skip, const float *h0,
                                         const float *marks, const E *dy, const float *dlast, const uint32_t *lens, float *dstep,
                                         i64 stride_dstep, E *dx, i64 stride_dx, float *parts_b, float *parts_c, float *carry,
                                         float *sum_rates, float *sum_skip, const float *ends, int B, int G) {
    DYNAMIC_SHARED(char, memory);
    Backward<E> &shared = *reinterpret_cast<Backward<E> *>(memory);
    const int T = at.T, kept = (T - 1) / STRETCH, len = lens ? int(lens[at.sequence]) : T;
    const float straight = at.on() ? skip[at.d()] : 0.0f;
    float rate[4][4], later[4][4] = {}, drate[4][4] = {}, dskip = 0;
    const int first = at.first(), past = at.past();
    at.rates(rate, log_rates);
    if (past <= kept) at.load(later, ends, at.part() + 1);
    at.ask_for(shared.fed[(past - 1) % 2], (past - 1) * STRETCH);
    asked();
    for (int k = past - 1; k >= first; k--) {
        const int from = k * STRETCH;
        answered<0>();
        __syncthreads();
        shared.dy.ask_for(dy + at.row(from) * at.D + i64(at.group) * at.width + at.channel, at.D, at.channel, at.width, T - from);
        if (threadIdx.x < 64) shared.c.ask_for(at.c + at.row(from) * at.stride_c + at.group * STATES, at.stride_c, T - from);
        asked();
        if (k > first) at.ask_for(shared.fed[(k - 1) % 2], from - STRETCH);
        asked();
        const Fed<E> &fed = shared.fed[k % 2];
        float h[SUB + 1][4][4];
        const float *begin = k > 0 ? marks : h0;
        const i64 mark = k > 0 ? i64(at.sequence) * kept + k - 1 : at.sequence;
        at.load(h[0], begin, mark);
#pragma unroll 1
        for (int sub = 0; sub < STRETCH / SUB - 1; sub++) {
#pragma unroll
            for (int i = 0; i < SUB; i++) advance(at, fed, sub * SUB + i, rate, h[0], h[0]);
            shared.keep(sub, h[0]);
        }
        answered<1>();
        __syncthreads();
#pragma unroll 1
        for (int sub = STRETCH / SUB - 1; sub >= 0; sub--) {
            if (sub > 0) shared.take(sub - 1, h[0]);
            else at.load(h[0], begin, mark);
            __syncwarp();
#pragma unroll
            for (int i = 0; i < SUB; i++) advance(at, fed, sub * SUB + i, rate, h[i], h[i + 1]);
#pragma unroll
            for (int i = SUB - 1; i >= 0; i--) {
                const int u = sub * SUB + i, t = from + u;
                float s[4], x[4], d[4], b[4], c[4];
                quad(s, &fed.step.at[u][at.four]);
                quad(x, &fed.x.at[u][at.four]);
                quad(d, &shared.dy.at[u][at.four]);
                quad(b, &fed.b.at[u][at.states]);
                quad(c, &shared.c.at[u][at.states]);
                if (dlast && t + 1 == len) {
                    float extra[4][4];
                    at.load(extra, dlast, at.sequence);
#pragma unroll
                    for (int n = 0; n < 16; n++) later[n / 4][n % 4] += extra[n / 4][n % 4];
                }
                float to_b[4] = {}, to_c[4] = {}, along_b[4] = {}, along_rate[4] = {};
#pragma unroll
                for (int m = 0; m < 4; m++) {
                    const float in = s[m] * x[m];
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        const float g = later[m][j] + d[m] * c[j];
                        to_b[j] += g * in;
                        to_c[j] += d[m] * h[i + 1][m][j];
                        along_b[m] += g * b[j];
                        later[m][j] = g * exp2_fast(s[m] * rate[m][j]);
                        const float q = later[m][j] * h[i][m][j];
                        along_rate[m] += q * rate[m][j];
                        drate[m][j] += q * s[m];
                    }
                }
                shared.sums(u, threadIdx.x / 32)[threadIdx.x % 32 / 16 * 16 + sum_channels_of()] = sum_channels(to_b, to_c);
                const float fed_by = sum_states(along_b), rates = sum_states(along_rate) * LN_2;
                const float own_s = fed.step.at[u][at.own], own_x = wide(fed.x.at[u][at.own]), own_d = wide(shared.dy.at[u][at.own]);
                dskip += own_d * own_x;
                if (t < T && at.on()) {
                    dx[at.row(t) * stride_dx + at.d()] = narrow<E>(fed_by * own_s + own_d * straight);
                    dstep[at.row(t) * stride_dstep + at.d()] = fed_by * own_x + rates;
                }
            }
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < STRETCH * 32 / THREADS; i++) {
            const int u = i * WARPS + threadIdx.x / 32, n = threadIdx.x % 32;
            float sum = 0;
#pragma unroll
            for (int warp = 0; warp < WARPS; warp++) sum += shared.sums(u, warp)[n];
            float *to = n < STATES ? parts_b : parts_c;
            const i64 row = (i64(at.block) * B + at.sequence) * T + from + u;
            if (from + u < T) to[(row * G + at.group) * STATES + n % STATES] = sum;
        }
    }
    if (first == 0) at.store(carry, at.sequence, later);
    at.store(sum_rates, at.part(), drate);
    if (at.on()) sum_skip[at.part() * at.D + at.d()] = dskip;
}

template <class E> struct Back {
    Steps<float> step;
    Steps<E> dy;
    Shared<E> c;
};

// The gradient that the states before a segment get from it alone, [B, segments, D N], and the sums of its step sizes, [B, segments, D].
template <class E>
__device__ __forceinline__ void backward_ends(const Place<E> &at, const float *log_rates, const E *dy, const float *dlast,
                                              const uint32_t *lens, float *ends, float *sums) {
    DYNAMIC_SHARED(char, memory);
    Back<E> *shared = reinterpret_cast<Back<E> *>(memory);
    const int T = at.T, len = lens ? int(lens[at.sequence]) : T, first = at.first(), past = at.past();
    if (first == 0) return;
    float rate[4][4], later[4][4] = {}, sum = 0;
    at.rates(rate, log_rates);
    auto ask_for = [&](int k) {
        if (k >= first) {
            Back<E> &to = shared[k % 2];
            const int from = k * STRETCH, steps = T - from;
            const i64 d = i64(at.group) * at.width + at.channel;
            to.step.ask_for(at.step + at.row(from) * at.stride_step + d, at.stride_step, at.channel, at.width, steps);
            to.dy.ask_for(dy + at.row(from) * at.D + d, at.D, at.channel, at.width, steps);
            if (threadIdx.x < 64) to.c.ask_for(at.c + at.row(from) * at.stride_c + at.group * STATES, at.stride_c, steps);
        }
        asked();
    };
    ask_for(past - 1);
    for (int k = past - 1; k >= first; k--) {
        answered<0>();
        __syncthreads();
        ask_for(k - 1);
        const Back<E> &now = shared[k % 2];
#pragma unroll 4
        for (int i = STRETCH - 1; i >= 0; i--) {
            float s[4], d[4], c[4];
            quad(s, &now.step.at[i][at.four]);
            quad(d, &now.dy.at[i][at.four]);
            quad(c, &now.c.at[i][at.states]);
            if (dlast && k * STRETCH + i + 1 == len) {
                float extra[4][4];
                at.load(extra, dlast, at.sequence);
#pragma unroll
                for (int n = 0; n < 16; n++) later[n / 4][n % 4] += extra[n / 4][n % 4];
            }
#pragma unroll
            for (int m = 0; m < 4; m++)
#pragma unroll
                for (int j = 0; j < 4; j++) later[m][j] = (later[m][j] + d[m] * c[j]) * exp2_fast(s[m] * rate[m][j]);
            sum += now.step.at[i][at.own];
        }
    }
    at.store(ends, at.part(), later);
    if (at.on()) sums[at.part() * at.D + at.d()] = sum;
}

// As `forward_join`: to `ends` of a segment, what the states before it get from it and all that are later.
__device__ __forceinline__ void backward_join(const float *log_rates, float *ends, const float *sums, int segments, int wide, i64 i) {
    const int own = int(i % wide);
    const i64 sequence = i / wide;
    const float rate = -LOG2_E * expf(log_rates[own]);
    float later = 0;
    for (int segment = segments - 1; segment > 0; segment--) {
        const i64 part = sequence * segments + segment;
        later = ends[part * wide + own] + exp2_fast(rate * sums[part * (wide / STATES) + own / STATES]) * later;
        ends[part * wide + own] = later;
    }
}

} // namespace tiled
