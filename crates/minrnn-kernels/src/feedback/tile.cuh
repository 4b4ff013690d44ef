// How a cluster shares the matrix of the state; `feedback.cu` says why.
#pragma once

#include "cuda/elements.cuh"
#include "cuda/reduce.cuh"

// For up to 64 QUADS channels.
template <int QUADS> struct Tile {
    static constexpr int WIDTH = 64 * QUADS;
    // Blocks of a cluster: one alone, 4, 8, and 16 for more than 256 channels.
    static constexpr int BLOCKS = QUADS == 1 ? 1 : QUADS == 2 ? 4 : QUADS == 4 ? 8 : 16;
    // Lanes that share a sum, forward and backward, and fours of rows of the matrix that a thread has of its columns, forward.
    static constexpr int FORWARD = BLOCKS == 1 ? 8 : 16, LANES = BLOCKS == 1 ? 32 : 64 / BLOCKS, FOURS = WIDTH / 4 / FORWARD;
    // Most channels of a block, and threads.
    static constexpr int SLICE = WIDTH / BLOCKS, THREADS = FORWARD * SLICE;
    // Of the fours of a thread, forward and backward, those in registers; the others are in shared memory (`cuda.rs` counts them).
    static constexpr int KEPT = QUADS > 6 ? 3 : 6;
};

// A thread's part of the matrix: FOURS times four values of each of N columns or rows.
template <int FOURS, int KEPT, int N> struct Part {
    static constexpr int OWN = KEPT < FOURS ? KEPT : FOURS;
    float own[OWN][N][4];

    // Where the block's threads have the others, side by side.
    static __device__ __forceinline__ float4 *there(int four, int i) {
        DYNAMIC_SHARED(float4, others);
        return others + ((four - OWN) * N + i) * blockDim.x + threadIdx.x;
    }
    __device__ __forceinline__ void put(int four, int i, const float (&x)[4]) {
        if (four < OWN) {
#pragma unroll
            for (int e = 0; e < 4; e++) own[four][i][e] = x[e];
        } else {
            *there(four, i) = make_float4(x[0], x[1], x[2], x[3]);
        }
    }
    __device__ __forceinline__ void get(int four, float (&to)[N][4]) const {
#pragma unroll
        for (int i = 0; i < N; i++) {
            if (four < OWN) {
#pragma unroll
                for (int e = 0; e < 4; e++) to[i][e] = own[four][i][e];
            } else {
                const float4 x = *there(four, i);
                to[i][0] = x.x;
                to[i][1] = x.y;
                to[i][2] = x.z;
                to[i][3] = x.w;
            }
        }
    }
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
