// Weights and their sums over the values, tile of rows by tile: what was summed before is scaled to the largest score so far.
#pragma once

#include "attend/tiles.cuh"

// The rows that the steps of a block see: from the least of `firsts` in shared memory to that of the last step, in whole tiles.
struct Span {
    int from, count;

    __device__ __forceinline__ Span(const int *firsts, int end) {
        const int lane = threadIdx.x % 32;
        int least = min(firsts[lane], firsts[lane + 32]);
#pragma unroll
        for (int step = 16; step > 0; step /= 2) least = min(least, __shfl_xor_sync(ALL, least, step));
        from = least / ROWS * ROWS;
        count = (end - from + ROWS - 1) / ROWS;
    }
};

// A block has 64 steps of a head, a warp 16 of them; blockIdx.x is the head of a sequence, the last steps go first.
template <class M, int WIDTH>
__device__ __forceinline__ void attend_forward(const typename M::type *__restrict__ q, const typename M::type *__restrict__ kv,
                                               const float *__restrict__ n, typename M::type *y, float *sums, const Dropout &dropout,
                                               const Sizes &s) {
    typedef typename M::type T;
    typedef Blocks<M> B;
    typedef Tiles<T, WIDTH> L;
    constexpr int DEPTH = WIDTH / 16;
    DYNAMIC_SHARED(T, shared);
    __shared__ int firsts[ROWS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, row = 16 * warp + lane / 4;
    const int sequence = blockIdx.x / s.heads, head = blockIdx.x % s.heads;
    const int t0 = (gridDim.y - 1 - blockIdx.y) * ROWS, d = s.channels();
    const int steps = min(ROWS, s.time - t0);
    if (threadIdx.x < ROWS) firsts[threadIdx.x] = s.first(n, sequence, min(t0 + int(threadIdx.x), s.time - 1));
    __syncthreads();
    const Span span(firsts, s.past + t0 + steps);
    // Of the last step of this warp, and of this thread's two.
    const int last = s.past + t0 + 16 * warp + 15, at[2] = {s.past + t0 + row, s.past + t0 + row + 8};
    const int first[2] = {firsts[row], firsts[row + 8]};
    int latest = max(first[0], first[1]);
#pragma unroll
    for (int step = 16; step > 0; step /= 2) latest = max(latest, __shfl_xor_sync(ALL, latest, step));

    const i64 place = (i64(sequence) * s.time + t0) * d + head * s.p;
    const T *own_q = q + (i64(sequence) * s.time + t0) * s.q_stride + head * s.p;
    const T *keys = kv + i64(sequence) * s.rows() * s.kv_stride + head * s.p;
    T *queries = shared, *stages = shared + L::SIZE;
    auto fetch_rows = [&](int tile) {
        T *to = stages + (L::STAGES == 2 ? tile % 2 : 0) * 2 * L::SIZE;
        const int j0 = span.from + tile * ROWS;
        const T *from = keys + i64(j0) * s.kv_stride;
        fetch<T, WIDTH>(to, from, s.kv_stride, s.rows() - j0, s);
        fetch<T, WIDTH>(to + L::SIZE, from + d, s.kv_stride, s.rows() - j0, s);
        commit();
    };
    fetch<T, WIDTH>(queries, own_q, s.q_stride, steps, s);
    fetch_rows(0);

    typename B::Left own[L::KEEP ? DEPTH : 1];
    float out[DEPTH][2][4] = {}, most[2] = {NO_SCORE, NO_SCORE}, total[2] = {0, 0};
    const float scale = s.scale * LOG2_E;
    for (int tile = 0; tile < span.count; tile++) {
        const int j0 = span.from + tile * ROWS;
        if (L::STAGES == 2 && tile + 1 < span.count) {
            fetch_rows(tile + 1);
            arrived<1>();
        } else {
            arrived<0>();
        }
        __syncthreads();
        const T *k = stages + (L::STAGES == 2 ? tile % 2 : 0) * 2 * L::SIZE, *v = k + L::SIZE;
        if (L::KEEP && tile == 0) {
#pragma unroll
            for (int c = 0; c < DEPTH; c++) B::template left<WIDTH>(own[c], queries, 16 * warp, 16 * c);
        }
        // Blocks of 16 rows that a step of this warp sees.
        const int blocks = min(WARPS, (last - j0) / 16 + 1);
        float w[WARPS][2][4] = {};
#pragma unroll
        for (int c = 0; c < DEPTH; c++) {
            if (!L::KEEP) B::template left<WIDTH>(own[0], queries, 16 * warp, 16 * c);
#pragma unroll
            for (int b = 0; b < WARPS; b++) {
                if (b >= blocks) continue;
                typename B::Right right;
                B::template right_rows<WIDTH>(right, k, 16 * b, 16 * c);
                B::multiply_add(w[b], own[L::KEEP ? c : 0], right);
            }
        }
        const bool all = j0 >= latest && j0 + ROWS - 1 <= last - 15;
        float top[2] = {most[0], most[1]};
#pragma unroll
        for (int b = 0; b < WARPS; b++)
#pragma unroll
            for (int half = 0; half < 2; half++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const int j = j0 + 16 * b + 8 * half + lane % 4 * 2 + e % 2;
                    float score = w[b][half][e] * scale;
                    if (!all && (j > at[e / 2] || j < first[e / 2])) score = NO_SCORE;
                    w[b][half][e] = score;
                    top[e / 2] = fmaxf(top[e / 2], score);
                }
        float base[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            top[r] = row_max(top[r]);
            // Where nothing was seen yet, differences to the largest score would be NaN.
            base[r] = top[r] == NO_SCORE ? 0.0f : top[r];
            const float factor = fast_exp2(most[r] - base[r]);
            most[r] = top[r];
            total[r] *= factor;
#pragma unroll
            for (int c = 0; c < DEPTH; c++)
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    out[c][half][2 * r] *= factor;
                    out[c][half][2 * r + 1] *= factor;
                }
        }
#pragma unroll
        for (int b = 0; b < WARPS; b++) {
            if (b >= blocks) continue;
#pragma unroll
            for (int half = 0; half < 2; half++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    w[b][half][e] = fast_exp2(w[b][half][e] - base[e / 2]);
                    total[e / 2] += w[b][half][e];
                }
            if (dropout.on) {
                float f[2][4];
                factors(f, dropout, s.numbers(blockIdx.x, t0 + 16 * warp, j0 + 16 * b));
#pragma unroll
                for (int half = 0; half < 2; half++)
#pragma unroll
                    for (int e = 0; e < 4; e++) w[b][half][e] *= f[half][e];
            }
            typename B::Left left;
            B::left_of(left, w[b]);
#pragma unroll
            for (int c = 0; c < DEPTH; c++) {
                typename B::Right right;
                B::template right_columns<WIDTH>(right, v, 16 * b, 16 * c);
                B::multiply_add(out[c], left, right);
            }
        }
        __syncthreads();
        if (L::STAGES == 1 && tile + 1 < span.count) fetch_rows(tile + 1);
    }
#pragma unroll
    for (int r = 0; r < 2; r++) {
        total[r] = row_sum(total[r]);
        const int t = t0 + row + 8 * r;
        if (sums && lane % 4 == 0 && t < s.time) sums[i64(blockIdx.x) * s.time + t] = most[r] * LN_2 + logf(total[r]);
    }
    put<T, WIDTH>(queries + 16 * warp * L::LD, out, 1.0f / total[0], 1.0f / total[1], y + place + i64(16 * warp) * d, d,
                  steps - 16 * warp, s);
}
