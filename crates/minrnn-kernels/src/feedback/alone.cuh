// All steps of one sequence by one block, for up to 64 channels, a multiple of 4, and rows that begin at 16 bytes.
//
// What a step waits for here is one multiprocessor's own chain: read h, multiply, sum over lanes, gates, write h, one barrier. So:
//
// - A channel has four lanes, one for each gate. Of the product a lane has a quarter of the rows of its channel's columns, in registers for
//   all steps; the sum over lanes leaves each with the sum of its own gate, and gates go round by shuffles. Nothing passes through memory
//   but h (backward: the gradients of the products), which has two places by turns, so that one barrier a step is enough.
// - What a step reads was asked for AHEAD steps before: memory is further away than a step takes.
// - Backward, all that a step needs besides its own gradient, the factors of the gates, is computed while the product of the step behind
//   it is: what is left of the chain is an addition, a multiplication, the product and its sum.
#pragma once

#include "cuda/reduce.cuh"
#include "feedback/cells.cuh"

constexpr int ALONE_WIDTH = 64, ALONE_THREADS = 4 * ALONE_WIDTH;
// Steps that are asked for before they are needed; a power of two.
constexpr int AHEAD = 8;

// 16 bytes into shared memory in the background; ends a batch of them; waits until at most N batches are open.
__device__ __forceinline__ void ask16(float *to, const float *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(from)
                 : "memory");
}
__device__ __forceinline__ void asked() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> __device__ __forceinline__ void answered() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// From what the four lanes of a channel have of four sums each: the whole sum number `part` of the lane `part`.
__device__ __forceinline__ float own_sum(const float (&sums)[4], int part) {
    const bool high = part & 2, odd = part & 1;
    float even = high ? sums[2] : sums[0], uneven = high ? sums[3] : sums[1];
    even += __shfl_xor_sync(ALL, high ? sums[0] : sums[2], 2);
    uneven += __shfl_xor_sync(ALL, high ? sums[1] : sums[3], 2);
    return (odd ? uneven : even) + __shfl_xor_sync(ALL, odd ? even : uneven, 1);
}
// What lane `part` of the channel has.
__device__ __forceinline__ float of_part(float x, int part) { return __shfl_sync(ALL, x, part, 4); }

// The lane's gate of a step, and the states after it in all four lanes; `mine`: which of the saved values is the lane's.
template <class Cell> struct Quarter;

template <> struct Quarter<Gru> {
    static __device__ __forceinline__ float step(int part, float x, float m, float &h, float &) {
        const float gate = sigmoid_of(x + m), r = of_part(gate, 0), z = of_part(gate, 1), moved = of_part(m, 2);
        const float n = tanh_of(of_part(x, 2) + r * moved);
        h = (h - n) * z + n;
        return part < 2 ? gate : part == 2 ? n : moved;
    }
};

template <> struct Quarter<Lstm> {
    static __device__ __forceinline__ float step(int part, float x, float m, float &h, float &c) {
        const float y = x + m, e = fast_exp(part == 2 ? -2.0f * fabsf(y) : -y), q = fast_reciprocal(1.0f + e);
        const float gate = part == 2 ? tanh_from(y, e, q) : q;
        c = of_part(gate, 1) * c + of_part(gate, 0) * of_part(gate, 2);
        h = of_part(gate, 3) * tanh_of(c);
        return gate;
    }
};

template <int PARTS> struct AloneForwardShared {
    // h of all channels before this step and after it, by turns; products of the input of the next steps.
    float h[2][ALONE_WIDTH];
    float x[AHEAD][PARTS * ALONE_WIDTH];
};

template <class Cell>
__device__ __forceinline__ void alone_forward(const Inputs &in, const Outputs &out, const Sizes &size) {
    constexpr int P = Cell::PARTS;
    __shared__ __align__(16) AloneForwardShared<P> s;
    const int tid = threadIdx.x, part = tid % 4, channel = tid / 4, D = int(size.channels), T = int(size.time);
    const bool live = channel < D;
    const i64 sequence = blockIdx.x, state = sequence * D + channel;

    // Rows 4 (part + 4 q) to 4 (part + 4 q) + 3 of the channel's columns.
    float w[4][P][4];
#pragma unroll
    for (int q = 0; q < 4; q++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int k = 4 * (part + 4 * q) + i;
#pragma unroll
            for (int p = 0; p < P; p++) w[q][p][i] = live && k < D ? in.weight[(i64(k) * P + p) * D + channel] : 0.0f;
        }
    }
    const float bias = live && part < P ? or_zero(in.bias, part * D + channel) : 0.0f;
    float h = live ? or_zero(in.h0, state) : 0.0f, c = live ? or_zero(in.c0, state) : 0.0f;
    if (tid < ALONE_WIDTH) {
        s.h[0][tid] = tid < D ? or_zero(in.h0, sequence * D + tid) : 0.0f;
        s.h[1][tid] = 0.0f;
    }
    for (int i = tid + blockDim.x; i < ALONE_WIDTH; i += blockDim.x) s.h[0][i] = s.h[1][i] = 0.0f;
    const float *from = in.x + sequence * T * P * D;
    auto ask_for = [&](int t) {
        if (t < T && 4 * tid < P * D) ask16(&s.x[t % AHEAD][4 * tid], from + i64(t) * P * D + 4 * tid);
        asked();
    };
#pragma unroll
    for (int t = 0; t < AHEAD; t++) ask_for(t);
    answered<AHEAD - 1>();
    __syncthreads();

    for (int t = 0; t < T; t++) {
        const int now = t & 1;
        const float x = live && part < P ? s.x[t % AHEAD][part * D + channel] : 0.0f;
        float sums[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
        for (int q = 0; q < 4; q++) {
            const float4 four = *reinterpret_cast<const float4 *>(&s.h[now][4 * (part + 4 * q)]);
#pragma unroll
            for (int p = 0; p < P; p++) {
                sums[p] = fmaf(four.x, w[q][p][0], sums[p]);
                sums[p] = fmaf(four.y, w[q][p][1], sums[p]);
                sums[p] = fmaf(four.z, w[q][p][2], sums[p]);
                sums[p] = fmaf(four.w, w[q][p][3], sums[p]);
            }
        }
        // Over the place of the step before, which all threads have read.
        if (t > 0) ask_for(t - 1 + AHEAD);
        const float mine = Quarter<Cell>::step(part, x, own_sum(sums, part) + bias, h, c);
        if (live && part == 0) s.h[1 - now][channel] = h;
        answered<AHEAD - 2>();
        __syncthreads();
        if (live) {
            const i64 at = sequence * T + t;
            if (part == 0) out.h[at * D + channel] = h;
            if (out.saved != nullptr) {
                out.saved[(at * Cell::SAVED + part) * D + channel] = mine;
                if (Cell::LSTM && part == 1) out.saved[(at * Cell::SAVED + 4) * D + channel] = c;
            }
        }
    }
    if (live && part == 0 && out.last != nullptr) out.last[state] = c;
}

// What a step does to the gradients, but for the gradient itself: that of the lane's product is `own` times that of h, or, of an LSTM
// but for its last gate, times that of c, which is `inner` times that of h and what came from the step behind.
struct Factors {
    float dh, before, inner, own, keep;
};

template <class Cell> __device__ __forceinline__ Factors factors(const float *row, int D, int part, float before, float c) {
    constexpr int S = Cell::SAVED;
    Factors f;
    f.dh = row[S * D];
    f.before = before;
    if constexpr (Cell::LSTM) {
        const float in = row[0], forget = row[D], g = row[2 * D], o = row[3 * D], t = tanh_of(row[4 * D]);
        f.inner = o * (1.0f - t * t);
        f.own = part == 0   ? g * in * (1.0f - in)
                : part == 1 ? c * forget * (1.0f - forget)
                : part == 2 ? in * (1.0f - g * g)
                            : t * o * (1.0f - o);
        f.keep = forget;
    } else {
        const float r = row[0], z = row[D], n = row[2 * D];
        f.inner = (1.0f - z) * (1.0f - n * n);
        f.own = part == 0 ? f.inner * row[3 * D] * r * (1.0f - r) : part == 1 ? (before - n) * z * (1.0f - z) : f.inner * r;
        f.keep = z;
    }
    return f;
}

template <int PARTS, int SAVED> struct AloneBackwardShared {
    // Gradients of the products of this step and the next, by turns; `[saved | dh | h before]` of the next steps.
    float moved[2][PARTS * ALONE_WIDTH];
    float rows[AHEAD][(SAVED + 2) * ALONE_WIDTH];
};

template <class Cell>
__device__ __forceinline__ void alone_backward(const Inputs &in, const Gradients &g, const Sizes &size) {
    constexpr int P = Cell::PARTS, S = Cell::SAVED;
    __shared__ __align__(16) AloneBackwardShared<P, S> s;
    const int tid = threadIdx.x, part = tid % 4, channel = tid / 4, D = int(size.channels), T = int(size.time);
    const bool live = channel < D;
    const int own = live ? channel : 0;
    const i64 sequence = blockIdx.x, state = sequence * D + channel;

    // As one of the product: columns 4 (lane + 8 i) to 4 (lane + 8 i) + 3 of the rows `first` and `first` + 1.
    const int lane = tid % 8, first = tid / 8 * 2;
    float w[2 * P][2][4];
#pragma unroll
    for (int i = 0; i < 2 * P; i++) {
#pragma unroll
        for (int o = 0; o < 2; o++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                const int n = 4 * (lane + 8 * i) + e;
                w[i][o][e] = n < P * D && first + o < D ? in.weight[i64(first + o) * P * D + n] : 0.0f;
            }
        }
    }
    for (int i = tid; i < 2 * P * ALONE_WIDTH; i += blockDim.x) s.moved[i / (P * ALONE_WIDTH)][i % (P * ALONE_WIDTH)] = 0.0f;
    auto ask_for = [&](int t) {
        const int n = 4 * tid;
        if (t >= 0 && n < (S + 2) * D) {
            const i64 at = sequence * T + t;
            const float *from = n < S * D         ? g.saved + at * S * D + n
                                : n < (S + 1) * D ? g.dh + at * D + (n - S * D)
                                                  : g.h + (at - 1) * D + (n - (S + 1) * D);
            if (t > 0 || n < (S + 1) * D) ask16(&s.rows[t % AHEAD][n], from);
        }
        asked();
    };
    auto factors_of = [&](int t) {
        const float *row = &s.rows[t % AHEAD][own];
        const float before = t > 0 ? row[(S + 1) * D] : live ? or_zero(in.h0, state) : 0.0f;
        float c = 0.0f;
        if (Cell::LSTM) c = t > 0 ? s.rows[(t - 1) % AHEAD][(S - 1) * D + own] : live ? or_zero(in.c0, state) : 0.0f;
        return factors<Cell>(row, D, part, before, c);
    };
#pragma unroll
    for (int i = 0; i < AHEAD; i++) ask_for(T - 1 - i);
    answered<AHEAD - 2>();
    __syncthreads();

    Factors f = factors_of(T - 1);
    // What reaches h and c of the step before.
    float grad = 0.0f, dc = 0.0f;
    for (int t = T - 1; t >= 0; t--) {
        const int now = t & 1;
        const float all = grad + f.dh;
        float dm, dx;
        if constexpr (Cell::LSTM) {
            const float inner = all * f.inner + dc;
            dx = dm = (part == 3 ? all : inner) * f.own;
            dc = inner * f.keep;
            grad = 0.0f;
        } else {
            dm = all * f.own;
            dx = part == 2 ? all * f.inner : dm;
            grad = all * f.keep;
        }
        if (live && part < P) s.moved[now][part * D + channel] = dm;
        // The two steps before this one are there.
        answered<AHEAD - 3>();
        __syncthreads();
        float sums[2][2] = {{0.0f, 0.0f}, {0.0f, 0.0f}};
#pragma unroll
        for (int i = 0; i < 2 * P; i++) {
            const float4 four = *reinterpret_cast<const float4 *>(&s.moved[now][4 * (lane + 8 * i)]);
#pragma unroll
            for (int o = 0; o < 2; o++) {
                float &sum = sums[o][i % 2];
                sum = fmaf(four.x, w[i][o][0], sum);
                sum = fmaf(four.y, w[i][o][1], sum);
                sum = fmaf(four.z, w[i][o][2], sum);
                sum = fmaf(four.w, w[i][o][3], sum);
            }
        }
        const float before = f.before;
        if (t > 0) f = factors_of(t - 1);
        // Over the place of this step, whose factors all threads had computed before the barrier.
        ask_for(t - AHEAD);
        const bool high = lane & 4;
        const float low_sum = sums[0][0] + sums[0][1], high_sum = sums[1][0] + sums[1][1];
        float sum = (high ? high_sum : low_sum) + __shfl_xor_sync(ALL, high ? low_sum : high_sum, 4);
        sum += __shfl_xor_sync(ALL, sum, 2);
        grad += sum + __shfl_xor_sync(ALL, sum, 1);
        if (live) {
            const i64 at = sequence * T + t;
            if (part < P) {
                g.dx[(at * P + part) * D + channel] = dx;
                if (g.dmoved != nullptr) g.dmoved[(at * P + part) * D + channel] = dm;
            }
            if (part == 0) g.before[at * D + channel] = before;
        }
    }
    if (live && part == 0) {
        if (g.dh0 != nullptr) g.dh0[state] = grad;
        if (g.dc0 != nullptr) g.dc0[state] = dc;
    }
}
