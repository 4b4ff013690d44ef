// All steps forward by clusters: ROWS sequences a cluster.
#pragma once

#include "feedback/cells.cuh"
#include "cuda/cluster.cuh"
#include "feedback/tile.cuh"

template <int PARTS, int QUADS, int ROWS> struct ForwardShared {
    // h of all channels before this step and after it, by turns.
    float h[2][ROWS][Tile<QUADS>::WIDTH];
    // Products of the block's channels.
    float moved[ROWS][PARTS][Tile<QUADS>::SLICE];
    // What has come into the two of h.
    unsigned long long there[2];
};

template <class Cell, int QUADS, int ROWS>
__device__ __forceinline__ void forward_steps(const Inputs &in, const Outputs &out, const Sizes &size) {
    typedef Tile<QUADS> T;
    typedef Fold<ROWS, T::FORWARD> F;
    constexpr int P = Cell::PARTS;
    static_assert(F::HELD == 1, "a lane has one row");
    SHARED(s, ForwardShared<P, QUADS, ROWS>);
    const int tid = threadIdx.x, rank = cluster_rank<T::BLOCKS>(), slice = slice_of<T::BLOCKS>(size.channels);
    const i64 D = size.channels, begin = i64(blockIdx.x / T::BLOCKS) * ROWS;

    // As one of the product: of the lanes of a channel, rows 4 (lane + FORWARD q) to 4 (lane + FORWARD q) + 3 of its columns.
    const int lane = tid % T::FORWARD, of = tid / T::FORWARD;
    Part<T::FOURS, T::KEPT, P> part;
#pragma unroll
    for (int q = 0; q < T::FOURS; q++) {
#pragma unroll
        for (int p = 0; p < P; p++) {
            float w[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const i64 k = 4 * (lane + T::FORWARD * q) + i, column = i64(rank) * slice + of;
                w[i] = k < D && column < D ? in.weight[(k * P + p) * D + column] : 0.0f;
            }
            part.put(q, p, w);
        }
    }
    // As one of the gates: one channel of one sequence.
    const int row = tid / slice, own = tid % slice, channel = rank * slice + own;
    const i64 sequence = begin + row, state = sequence * D + channel;
    const bool live = row < ROWS && sequence < size.batch && channel < D;
    float h = 0.0f, c = 0.0f, bias[P], x[P];
#pragma unroll
    for (int p = 0; p < P; p++) bias[p] = x[p] = 0.0f;
    const float *from = in.x + (sequence * size.time * P) * D + channel;
    if (live) {
        h = or_zero(in.h0, state);
        c = or_zero(in.c0, state);
#pragma unroll
        for (int p = 0; p < P; p++) {
            bias[p] = or_zero(in.bias, p * D + channel);
            x[p] = from[p * D];
        }
    }
    // What no thread is live for stays 0.
    for (int i = tid; i < ROWS * T::WIDTH; i += blockDim.x) {
        const int r = i / T::WIDTH, k = i % T::WIDTH;
        const bool there = begin + r < size.batch && k < D;
        s.h[0][r][k] = there ? or_zero(in.h0, (begin + r) * D + k) : 0.0f;
        s.h[1][r][k] = 0.0f;
    }
    const int bytes = ROWS * T::BLOCKS * slice * int(sizeof(float));
    if constexpr (T::BLOCKS > 1) {
        if (tid < 2) {
            Arrivals(&s.there[tid]).init();
            Arrivals(&s.there[tid]).expect(bytes);
        }
    }
    cluster_arrive<T::BLOCKS>();
    cluster_wait<T::BLOCKS>();

    for (i64 t = 0; t < size.time; t++) {
        const int now = t & 1;
        float sums[ROWS][P];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
#pragma unroll
            for (int p = 0; p < P; p++) sums[r][p] = 0.0f;
        }
#pragma unroll
        for (int q = 0; q < T::FOURS; q++) {
            float w[P][4];
            part.get(q, w);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float4 four = *reinterpret_cast<const float4 *>(&s.h[now][r][4 * (lane + T::FORWARD * q)]);
                add_product(sums[r], four, w);
            }
        }
        F::sum(sums, lane);
        if (F::writes(lane)) {
#pragma unroll
            for (int p = 0; p < P; p++) s.moved[F::first(lane)][p][of] = sums[0][p];
        }
        __syncthreads();
        float saved[Cell::SAVED];
        if (live) {
            float moved[P];
#pragma unroll
            for (int p = 0; p < P; p++) moved[p] = s.moved[row][p][own] + bias[p];
            Cell::step(x, moved, h, c, saved);
        }
        if constexpr (T::BLOCKS > 1) {
            // Four lanes have four channels side by side; each sends them to a quarter of the blocks.
            float four[4];
#pragma unroll
            for (int i = 0; i < 4; i++) four[i] = __shfl_sync(ALL, h, i, 4);
            if (row < ROWS) {
#pragma unroll
                for (int i = 0; i < T::BLOCKS; i += 4)
                    send4(&s.h[1 - now][row][channel / 4 * 4], (rank + i + own % 4) % T::BLOCKS, four, &s.there[1 - now]);
            }
        } else if (live) {
            s.h[1 - now][row][channel] = h;
        }
        if (live) {
            const i64 at = sequence * size.time + t;
            out.h[at * D + channel] = h;
            if (out.saved != nullptr) {
#pragma unroll
                for (int i = 0; i < Cell::SAVED; i++) out.saved[(at * Cell::SAVED + i) * D + channel] = saved[i];
            }
            if (t + 1 < size.time) {
                from += P * D;
#pragma unroll
                for (int p = 0; p < P; p++) x[p] = from[p * D];
            }
        }
        if constexpr (T::BLOCKS > 1) {
            // Who is through has all of h, this block's own too, which is sent behind the last use of `moved`.
            Arrivals(&s.there[1 - now]).wait(int(t / 2) & 1);
            if (tid == 0 && t + 2 < size.time) Arrivals(&s.there[1 - now]).expect(bytes);
        } else {
            __syncthreads();
        }
    }
    if (live && out.last != nullptr) out.last[state] = c;
}
