// How a cluster shares the matrix of the state; `feedback.cu` says why.
#pragma once

#include "cuda/reduce.cuh"

// `QUADS`: four rows of the matrix that a thread has of each of its columns; up to 64 QUADS channels.
template <int QUADS> struct Tile {
    static constexpr int WIDTH = 64 * QUADS;
    // Blocks of a cluster: 2, 4, 8, and 16 for more than 256 channels.
    static constexpr int BLOCKS = QUADS == 1 ? 2 : QUADS == 2 ? 4 : QUADS == 4 ? 8 : 16;
    // Most channels of a block, and threads: 16 a channel.
    static constexpr int SLICE = WIDTH / BLOCKS, THREADS = 16 * SLICE;
    // Backwards, the lanes that share a sum.
    static constexpr int LANES = 64 / BLOCKS;
};

// Channels of a block, a multiple of 4.
template <int BLOCKS> __device__ __forceinline__ int slice_of(i64 channels) {
    return 4 * int((channels + 4 * BLOCKS - 1) / (4 * BLOCKS));
}

constexpr int log_of(int x) { return x <= 1 ? 0 : 1 + log_of(x / 2); }
constexpr int lesser(int a, int b) { return a < b ? a : b; }

// Sums over LANES neighbouring lanes. With every bit of the lane the half of the rows that is kept halves, while there are rows; the
// tree of a sum is the same for any ROWS. Afterwards `sums[0..HELD]` are the rows from `first` on; of lanes that hold the same rows, the
// one for which `writes` says so is to write them.
template <int ROWS, int LANES> struct Fold {
    static constexpr int SPREAD = lesser(ROWS, LANES), BITS = log_of(SPREAD), ALL_BITS = log_of(LANES), HELD = ROWS / SPREAD;

    static __device__ __forceinline__ int first(int lane) {
        int row = 0;
#pragma unroll
        for (int bit = 0; bit < BITS; bit++) row += (lane >> bit & 1) * (ROWS >> (bit + 1));
        return row;
    }
    static __device__ __forceinline__ bool writes(int lane) { return lane >> BITS == 0; }

    template <int N> static __device__ __forceinline__ void sum(float (&sums)[ROWS][N], int lane) {
#pragma unroll
        for (int bit = 0; bit < BITS; bit++) {
            const int half = ROWS >> (bit + 1);
            const bool upper = lane >> bit & 1;
#pragma unroll
            for (int row = 0; row < half; row++) {
#pragma unroll
                for (int i = 0; i < N; i++) {
                    float low = sums[row][i], high = sums[row + half][i];
                    float other = __shfl_xor_sync(ALL, upper ? low : high, 1 << bit);
                    sums[row][i] = (upper ? high : low) + other;
                }
            }
        }
#pragma unroll
        for (int bit = BITS; bit < ALL_BITS; bit++) {
#pragma unroll
            for (int row = 0; row < HELD; row++) {
#pragma unroll
                for (int i = 0; i < N; i++) sums[row][i] += __shfl_xor_sync(ALL, sums[row][i], 1 << bit);
            }
        }
    }
};

// `sums[row][i] += four values of the row * four of column i`, in this order.
template <int N> __device__ __forceinline__ void add_product(float (&sums)[N], float4 x, const float (&w)[N][4]) {
#pragma unroll
    for (int i = 0; i < N; i++) {
        float sum = fmaf(x.x, w[i][0], sums[i]);
        sum = fmaf(x.y, w[i][1], sum);
        sum = fmaf(x.z, w[i][2], sum);
        sums[i] = fmaf(x.w, w[i][3], sum);
    }
}
