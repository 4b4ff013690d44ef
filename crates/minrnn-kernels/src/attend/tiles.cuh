// Tiles of 64 rows of a head's channels in shared memory, and what the kernels of attention have in common.
#pragma once

#include "attend/fragments.cuh"
#include "cuda/philox.cuh"
#include "cuda/reduce.cuh"

// Steps of a block, rows of a tile; each of the four warps has 16 of them.
constexpr int ROWS = 64;
constexpr int WARPS = ROWS / 16;
constexpr int THREADS = 32 * WARPS;
constexpr float LOG2_E = 1.44269504f, LN_2 = 0.693147181f;

#define NO_SCORE __int_as_float(0xff800000)

// Sizes: steps, heads and their channels p; rows before the present one that a step sees at most; rows before the run in memory, and as
// the dropout counts them; elements from a row of q, of kv and of the gradient of kv to the next; the factor of scores; whether rows and
// heads begin at multiples of 16 bytes.
struct Sizes {
    int time, heads, p, lag, past, front, q_stride, kv_stride, dkv_stride;
    float scale;
    bool whole;

    __device__ __forceinline__ int rows() const { return past + time; }
    __device__ __forceinline__ int channels() const { return heads * p; }
    // The first row that a step sees.
    __device__ __forceinline__ int first(const float *n, int sequence, int t) const {
        const float before = fminf(fmaxf(n[i64(sequence) * time + t] - 1.0f, 0.0f), float(min(lag, past + t)));
        return past + t - int(before);
    }
    // The first block of numbers of a dropout for 16 steps from `t` and 16 rows from `row` on.
    __device__ __forceinline__ uint64_t numbers(int head, int t, int row) const {
        const uint64_t down = uint64_t(head) * ((time + 15) / 16) + t / 16;
        return (down * ((front + time + 15) / 16) + (front - past + row) / 16) * 32;
    }
};

// Rows and tiles in flight.
template <class T, int WIDTH> struct Tiles {
    static constexpr int LD = STRIDE<T, WIDTH>;
    static constexpr int SIZE = ROWS * LD;
    // Whether the next tile is on its way while one is computed with.
    static constexpr int STAGES = WIDTH * int(sizeof(T)) > 256 ? 1 : 2;
    // Whether a factor that stays is kept in registers.
    static constexpr bool KEEP = WIDTH * int(sizeof(T)) <= 128;
};

__device__ __forceinline__ void copy16(void *to, const void *from, bool there) {
    SINCE_80_IN_ORDER("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(there ? 16 : 0) : "memory");
}
__device__ __forceinline__ void commit() { SINCE_80_IN_ORDER("cp.async.commit_group;" ::: "memory"); }
template <int LATER> __device__ __forceinline__ void arrived() { SINCE_80_IN_ORDER("cp.async.wait_group %0;" ::"n"(LATER) : "memory"); }

// The first `rows` rows of p channels, at least one; what is beyond them is 0.
template <class T, int WIDTH>
__device__ __forceinline__ void fetch(T *tile, const T *from, i64 stride, int rows, const Sizes &s) {
    constexpr int LD = Tiles<T, WIDTH>::LD, VEC = 16 / int(sizeof(T)), PACKS = WIDTH / VEC;
    if (s.whole) {
#pragma unroll 4
        for (int i = threadIdx.x; i < ROWS * PACKS; i += THREADS) {
            const int r = i / PACKS, c = i % PACKS * VEC;
            const bool there = r < rows && c < s.p;
            copy16(tile + r * LD + c, there ? from + r * stride + c : from, there);
        }
    } else {
        for (int i = threadIdx.x; i < ROWS * WIDTH; i += THREADS) {
            const int r = i / WIDTH, c = i % WIDTH;
            tile[r * LD + c] = r < rows && c < s.p ? from[r * stride + c] : narrow<T>(0.0f);
        }
    }
}

// Puts the sums of a warp's 16 rows into memory, by way of their rows of a tile that nobody reads any more. `to` is that of the first row.
template <class T, int WIDTH>
__device__ __forceinline__ void put(T *tile, const float (&sums)[WIDTH / 16][2][4], float upper, float lower, T *to, i64 stride,
                                    int rows, const Sizes &s) {
    constexpr int LD = Tiles<T, WIDTH>::LD, VEC = 16 / int(sizeof(T)), PACKS = WIDTH / VEC;
    const int lane = threadIdx.x % 32;
    T *own = tile + lane / 4 * LD + lane % 4 * 2;
    __syncwarp();
#pragma unroll
    for (int c = 0; c < WIDTH / 16; c++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            T *at = own + 16 * c + 8 * half;
            at[0] = narrow<T>(sums[c][half][0] * upper);
            at[1] = narrow<T>(sums[c][half][1] * upper);
            at[8 * LD] = narrow<T>(sums[c][half][2] * lower);
            at[8 * LD + 1] = narrow<T>(sums[c][half][3] * lower);
        }
    __syncwarp();
    if (s.whole) {
        for (int i = lane; i < 16 * PACKS; i += 32) {
            const int r = i / PACKS, c = i % PACKS * VEC;
            if (r >= rows || c >= s.p) continue;
            *reinterpret_cast<uint4 *>(to + r * stride + c) = *reinterpret_cast<const uint4 *>(tile + r * LD + c);
        }
    } else {
        for (int i = lane; i < 16 * WIDTH; i += 32) {
            const int r = i / WIDTH, c = i % WIDTH;
            if (r < rows && c < s.p) to[r * stride + c] = tile[r * LD + c];
        }
    }
}

// Maximum and sum over the four threads that share a row.
__device__ __forceinline__ float row_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(ALL, x, 1));
    return fmaxf(x, __shfl_xor_sync(ALL, x, 2));
}
__device__ __forceinline__ float row_sum(float x) {
    x += __shfl_xor_sync(ALL, x, 1);
    return x + __shfl_xor_sync(ALL, x, 2);
}

// The factors of a block of 16 steps and 16 rows, where a thread has sums of two steps; see `mask.rs`.
__device__ __forceinline__ void factors(float (&f)[2][4], const Dropout &dropout, uint64_t block) {
    uint32_t numbers[4];
    dropout.bits(numbers, block + threadIdx.x % 32);
#pragma unroll
    for (int half = 0; half < 2; half++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const uint32_t both = numbers[2 * half + e / 2], bits = e % 2 ? both >> 16 : both & 0xffff;
            f[half][e] = bits < dropout.threshold ? 0.0f : dropout.keep;
        }
}

// The same where a thread has sums of two rows, of steps 2 i, 2 i + 1 and 8 later. Threads of rows g and g ^ 1 need halves of the same
// numbers, each of which one of the two draws.
__device__ __forceinline__ void factors_transposed(float (&f)[2][4], const Dropout &dropout, uint64_t block) {
    const int lane = threadIdx.x % 32, odd = lane / 4 % 2;
    uint32_t numbers[4], own[2], sent[2], steps[2][2];
    dropout.bits(numbers, block + (lane % 4 * 2 + odd) * 4 + lane / 8);
    // Low halves are of even rows, high halves of odd ones.
    const uint32_t mine = odd ? 0x7632 : 0x5410, other = odd ? 0x5410 : 0x7632;
#pragma unroll
    for (int row = 0; row < 2; row++) {
        own[row] = __byte_perm(numbers[2 * row], numbers[2 * row + 1], mine);
        sent[row] = __byte_perm(numbers[2 * row], numbers[2 * row + 1], other);
    }
#pragma unroll
    for (int row = 0; row < 2; row++) {
        const uint32_t got = __shfl_xor_sync(ALL, sent[row], 4);
        steps[0][row] = odd ? got : own[row];
        steps[1][row] = odd ? own[row] : got;
    }
#pragma unroll
    for (int half = 0; half < 2; half++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const uint32_t both = steps[e % 2][e / 2], bits = half ? both >> 16 : both & 0xffff;
            f[half][e] = bits < dropout.threshold ? 0.0f : dropout.keep;
        }
}
