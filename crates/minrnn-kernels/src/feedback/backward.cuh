// All steps backward by clusters: ROWS sequences a cluster.
#pragma once

#include "feedback/cells.cuh"
#include "cuda/cluster.cuh"
#include "feedback/tile.cuh"

template <int PARTS, int QUADS> struct Columns {
    typedef Tile<QUADS> T;
    // Four columns that a thread has of each of its four rows of the matrix, and all columns of a block.
    static constexpr int FOURS = (PARTS * T::SLICE / 4 + T::LANES - 1) / T::LANES, ALL_COLUMNS = 4 * FOURS * T::LANES;
};

template <int PARTS, int QUADS, int ROWS> struct BackwardShared {
    typedef Tile<QUADS> T;
    // What each block gives to the gradients of this block's states, in this step and the next, by turns.
    float parts[2][T::BLOCKS][ROWS][T::SLICE];
    // Gradients of the products of this block's channels, `[P slice]`, in this step and the next, by turns: who has what others sent
    // may go on before the last thread of its own block has read them.
    float moved[2][ROWS][Columns<PARTS, QUADS>::ALL_COLUMNS];
    // What has come into the two of `parts`.
    unsigned long long there[2];
};

// What the step t reads.
template <class Cell> struct Read {
    float saved[Cell::SAVED], h, c, dh;

    __device__ __forceinline__ void load(const Inputs &in, const Gradients &g, i64 D, i64 at, i64 t, i64 channel, i64 state) {
        constexpr int S = Cell::SAVED;
#pragma unroll
        for (int i = 0; i < S; i++) saved[i] = g.saved[(at * S + i) * D + channel];
        dh = g.dh[at * D + channel];
        h = t > 0 ? g.h[(at - 1) * D + channel] : or_zero(in.h0, state);
        c = 0.0f;
        if (Cell::LSTM) c = t > 0 ? g.saved[(at * S - 1) * D + channel] : or_zero(in.c0, state);
    }
};

template <class Cell, int QUADS, int ROWS>
__device__ __forceinline__ void backward_steps(const Inputs &in, const Gradients &g, const Sizes &size) {
    typedef Tile<QUADS> T;
    typedef Fold<ROWS, T::LANES> F;
    constexpr int P = Cell::PARTS, FOURS = Columns<P, QUADS>::FOURS, ALL_COLUMNS = Columns<P, QUADS>::ALL_COLUMNS;
    SHARED(s, BackwardShared<P, QUADS, ROWS>);
    const int tid = threadIdx.x, rank = cluster_rank<T::BLOCKS>(), slice = slice_of<T::BLOCKS>(size.channels);
    const i64 D = size.channels, begin = i64(blockIdx.x / T::BLOCKS) * ROWS;

    // As one of the product: rows `four` to `four` + 3 of the matrix, of this block's columns 4 (lane + LANES i) to 4 (lane + LANES i) + 3.
    const int lane = tid % T::LANES, four = 4 * (tid / T::LANES);
    Part<FOURS, T::KEPT, 4> part;
#pragma unroll
    for (int i = 0; i < FOURS; i++) {
        float w[4][4];
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int n = 4 * (lane + T::LANES * i) + e, gate = n / slice;
            const i64 channel = i64(rank) * slice + n % slice;
#pragma unroll
            for (int o = 0; o < 4; o++) {
                const bool there = gate < P && channel < D && four + o < D;
                w[o][e] = there ? in.weight[(i64(four + o) * P + gate) * D + channel] : 0.0f;
            }
        }
#pragma unroll
        for (int o = 0; o < 4; o++) part.put(i, o, w[o]);
    }
    // As one of the gates: one channel of one sequence.
    const int row = tid / slice, own = tid % slice, channel = rank * slice + own;
    const i64 sequence = begin + row, state = sequence * D + channel;
    const bool live = row < ROWS && sequence < size.batch && channel < D;
    float grad = 0.0f, dc = 0.0f;
    Read<Cell> read;
    if (live) read.load(in, g, D, sequence * size.time + size.time - 1, size.time - 1, channel, state);
    // What no thread is live for stays 0.
    for (int i = tid; i < 2 * ROWS * ALL_COLUMNS; i += blockDim.x)
        s.moved[i / ALL_COLUMNS / ROWS][i / ALL_COLUMNS % ROWS][i % ALL_COLUMNS] = 0.0f;
    const int bytes = ROWS * T::BLOCKS * slice * int(sizeof(float));
    if constexpr (T::BLOCKS > 1) {
        if (tid < 2) {
            Arrivals(&s.there[tid]).init();
            Arrivals(&s.there[tid]).expect(bytes);
        }
    }
    cluster_arrive<T::BLOCKS>();
    cluster_wait<T::BLOCKS>();

    int now = 0;
    for (i64 t = size.time - 1; t >= 0; t--) {
        if (live) {
            if (t + 1 < size.time) {
#pragma unroll
                for (int i = 0; i < T::BLOCKS; i++) grad += s.parts[now][i][row][own];
            }
            grad += read.dh;
            float dx[P], dm[P];
            Cell::back(read.saved, read.h, read.c, grad, dc, dx, dm);
            const i64 at = sequence * size.time + t;
#pragma unroll
            for (int p = 0; p < P; p++) {
                s.moved[now][row][p * slice + own] = dm[p];
                g.dx[(at * P + p) * D + channel] = dx[p];
                if (g.dmoved != nullptr) g.dmoved[(at * P + p) * D + channel] = dm[p];
            }
            g.before[at * D + channel] = read.h;
            if (t > 0) read.load(in, g, D, at - 1, t - 1, channel, state);
        }
        __syncthreads();
        float sums[ROWS][4];
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
#pragma unroll
            for (int o = 0; o < 4; o++) sums[r][o] = 0.0f;
        }
#pragma unroll
        for (int i = 0; i < FOURS; i++) {
            float w[4][4];
            part.get(i, w);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                float4 x = *reinterpret_cast<const float4 *>(&s.moved[now][r][4 * (lane + T::LANES * i)]);
                add_product(sums[r], x, w);
            }
        }
        F::sum(sums, lane);
        now = 1 - now;
        if (F::writes(lane)) {
#pragma unroll
            for (int r = 0; r < F::HELD; r++) {
                float *to = &s.parts[now][rank][F::first(lane) + r][four % slice];
                if constexpr (T::BLOCKS > 1) send4(to, four / slice, sums[r], &s.there[now]);
                else *reinterpret_cast<float4 *>(to) = make_float4(sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
            }
        }
        if constexpr (T::BLOCKS > 1) {
            const int done = int((size.time - 1 - t) / 2);
            Arrivals(&s.there[now]).wait(done & 1);
            if (tid == 0 && t > 1) Arrivals(&s.there[now]).expect(bytes);
        } else {
            __syncthreads();
        }
    }
    if (live && g.dh0 != nullptr) {
#pragma unroll
        for (int i = 0; i < T::BLOCKS; i++) grad += s.parts[now][i][row][own];
        g.dh0[state] = grad;
    }
    if (live && g.dc0 != nullptr) g.dc0[state] = dc;
}
