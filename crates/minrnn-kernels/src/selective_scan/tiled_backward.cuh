// The backward pass of `tiled.cuh`, and of its segments.
#pragma once

#include "selective_scan/tiled.cuh"

namespace tiled {

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
