// Gradients, the weights computed again from the scores and the logarithms of their sums. Two kernels, so that every sum has one thread: of
// the queries over tiles of rows, of keys and values over tiles of steps.
#pragma once

#include "attend/forward.cuh"

// dq, and for each step `delta`, the sum of dy y. Blocks as in the forward pass.
template <class M, int WIDTH>
__device__ __forceinline__ void attend_queries(const typename M::type *__restrict__ q, const typename M::type *__restrict__ kv,
                                               const float *__restrict__ n, const typename M::type *__restrict__ y,
                                               const float *__restrict__ sums, const typename M::type *__restrict__ dy,
                                               typename M::type *dq, float *delta, const Dropout &dropout, const Sizes &s) {
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
    const int last = s.past + t0 + 16 * warp + 15, at[2] = {s.past + t0 + row, s.past + t0 + row + 8};
    const int first[2] = {firsts[row], firsts[row + 8]};

    const i64 place = (i64(sequence) * s.time + t0) * d + head * s.p;
    const i64 q_place = (i64(sequence) * s.time + t0) * s.q_stride + head * s.p;
    const T *keys = kv + i64(sequence) * s.rows() * s.kv_stride + head * s.p;
    T *queries = shared, *douts = shared + L::SIZE, *stages = shared + 2 * L::SIZE;
    auto fetch_rows = [&](int tile) {
        T *to = stages + (L::STAGES == 2 ? tile % 2 : 0) * 2 * L::SIZE;
        const int j0 = span.from + tile * ROWS;
        const T *from = keys + i64(j0) * s.kv_stride;
        fetch<T, WIDTH>(to, from, s.kv_stride, s.rows() - j0, s);
        fetch<T, WIDTH>(to + L::SIZE, from + d, s.kv_stride, s.rows() - j0, s);
        commit();
    };
    fetch<T, WIDTH>(queries, q + q_place, s.q_stride, steps, s);
    fetch<T, WIDTH>(douts, dy + place, d, steps, s);
    fetch_rows(0);

    // Of steps behind the last one every weight is 0.
    float own_delta[2] = {0, 0}, log_sum[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        const int t = t0 + row + 8 * r;
        log_sum[r] = t < s.time ? sums[i64(blockIdx.x) * s.time + t] * LOG2_E : __int_as_float(0x7f800000);
    }
    typename B::Left own[L::KEEP ? DEPTH : 1], dout[L::KEEP ? DEPTH : 1];
    float out[DEPTH][2][4] = {};
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
        if (tile == 0) {
#pragma unroll 4
            for (int r = 0; r < 16; r++) {
                const int line = 16 * warp + r;
                float sum = 0;
                if (line < steps)
                    for (int c = lane; c < s.p; c += 32)
                        sum += wide(douts[line * L::LD + c]) * wide(y[place + i64(line) * d + c]);
                sum = warp_sum(sum);
                if (lane == 0 && line < steps) delta[i64(blockIdx.x) * s.time + t0 + line] = sum;
                if (line == row) own_delta[0] = sum;
                if (line == row + 8) own_delta[1] = sum;
            }
            if (L::KEEP) {
#pragma unroll
                for (int c = 0; c < DEPTH; c++) {
                    B::template left<WIDTH>(own[c], queries, 16 * warp, 16 * c);
                    B::template left<WIDTH>(dout[c], douts, 16 * warp, 16 * c);
                }
            }
        }
#pragma unroll
        for (int b = 0; b < WARPS; b++) {
            if (j0 + 16 * b > last) continue;
            float w[2][4] = {}, dw[2][4] = {};
#pragma unroll
            for (int c = 0; c < DEPTH; c++) {
                const int kept = L::KEEP ? c : 0;
                if (!L::KEEP) {
                    B::template left<WIDTH>(own[0], queries, 16 * warp, 16 * c);
                    B::template left<WIDTH>(dout[0], douts, 16 * warp, 16 * c);
                }
                typename B::Right right;
                B::template right_rows<WIDTH>(right, k, 16 * b, 16 * c);
                B::multiply_add(w, own[kept], right);
                B::template right_rows<WIDTH>(right, v, 16 * b, 16 * c);
                B::multiply_add(dw, dout[kept], right);
            }
            if (dropout.on) {
                float f[2][4];
                factors(f, dropout, s.numbers(blockIdx.x, t0 + 16 * warp, j0 + 16 * b));
#pragma unroll
                for (int half = 0; half < 2; half++)
#pragma unroll
                    for (int e = 0; e < 4; e++) dw[half][e] *= f[half][e];
            }
#pragma unroll
            for (int half = 0; half < 2; half++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const int r = e / 2, j = j0 + 16 * b + 8 * half + lane % 4 * 2 + e % 2;
                    const bool seen = j <= at[r] && j >= first[r];
                    const float weight = seen ? fast_exp2(w[half][e] * scale - log_sum[r]) : 0.0f;
                    dw[half][e] = seen ? weight * (dw[half][e] - own_delta[r]) : 0.0f;
                }
            typename B::Left left;
            B::left_of(left, dw);
#pragma unroll
            for (int c = 0; c < DEPTH; c++) {
                typename B::Right right;
                B::template right_columns<WIDTH>(right, k, 16 * b, 16 * c);
                B::multiply_add(out[c], left, right);
            }
        }
        __syncthreads();
        if (L::STAGES == 1 && tile + 1 < span.count) fetch_rows(tile + 1);
    }
    put<T, WIDTH>(queries + 16 * warp * L::LD, out, s.scale, s.scale, dq + q_place + i64(16 * warp) * s.q_stride, s.q_stride,
                  steps - 16 * warp, s);
}

// dk and dv. A block has 64 rows of the run for a head, a warp 16 of them; the first rows, which most steps see, go first.
template <class M, int WIDTH>
__device__ __forceinline__ void attend_rows(const typename M::type *__restrict__ q, const typename M::type *__restrict__ kv,
                                            const float *__restrict__ n, const float *__restrict__ sums,
                                            const typename M::type *__restrict__ dy, const float *__restrict__ delta,
                                            typename M::type *dkv, const Dropout &dropout, const Sizes &s) {
    typedef typename M::type T;
    typedef Blocks<M> B;
    typedef Tiles<T, WIDTH> L;
    constexpr int DEPTH = WIDTH / 16;
    DYNAMIC_SHARED(T, shared);
    __shared__ int firsts[2][ROWS];
    __shared__ float log_sums[2][ROWS], deltas[2][ROWS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int sequence = blockIdx.x / s.heads, head = blockIdx.x % s.heads;
    // The first row of the block: of the run, and in memory.
    const int r0 = blockIdx.y * ROWS, j0 = s.past + r0, d = s.channels();
    const int rows = min(ROWS, s.time - r0);
    // Steps that see one of these rows at most.
    const int end = int(min(i64(s.time), i64(r0) + rows + s.lag)), count = (end - r0 + ROWS - 1) / ROWS;

    const i64 place = i64(sequence) * s.time * d + head * s.p;
    const T *own_q = q + i64(sequence) * s.time * s.q_stride + head * s.p;
    const T *own_rows = kv + (i64(sequence) * s.rows() + j0) * s.kv_stride + head * s.p;
    T *keys = shared, *values = shared + L::SIZE, *stages = shared + 2 * L::SIZE;
    auto fetch_steps = [&](int tile) {
        const int stage = L::STAGES == 2 ? tile % 2 : 0, t0 = r0 + tile * ROWS;
        T *to = stages + stage * 2 * L::SIZE;
        fetch<T, WIDTH>(to, own_q + i64(t0) * s.q_stride, s.q_stride, s.time - t0, s);
        fetch<T, WIDTH>(to + L::SIZE, dy + place + i64(t0) * d, d, s.time - t0, s);
        commit();
        if (threadIdx.x < ROWS) {
            const int t = t0 + int(threadIdx.x);
            const bool there = t < s.time;
            const i64 line = i64(blockIdx.x) * s.time + t;
            firsts[stage][threadIdx.x] = there ? s.first(n, sequence, t) : 0x7fffffff;
            log_sums[stage][threadIdx.x] = there ? sums[line] * LOG2_E : 0.0f;
            deltas[stage][threadIdx.x] = there ? delta[line] : 0.0f;
        }
    };
    fetch<T, WIDTH>(keys, own_rows, s.kv_stride, rows, s);
    fetch<T, WIDTH>(values, own_rows + d, s.kv_stride, rows, s);
    fetch_steps(0);

    typename B::Left key[L::KEEP ? DEPTH : 1], value[L::KEEP ? DEPTH : 1];
    float dk[DEPTH][2][4] = {}, dv[DEPTH][2][4] = {};
    const float scale = s.scale * LOG2_E;
    const int first_row = r0 + 16 * warp;
    for (int tile = 0; tile < count; tile++) {
        const int t0 = r0 + tile * ROWS, stage = L::STAGES == 2 ? tile % 2 : 0;
        if (L::STAGES == 2 && tile + 1 < count) {
            fetch_steps(tile + 1);
            arrived<1>();
        } else {
            arrived<0>();
        }
        __syncthreads();
        const T *queries = stages + stage * 2 * L::SIZE, *douts = queries + L::SIZE;
        if (L::KEEP && tile == 0) {
#pragma unroll
            for (int c = 0; c < DEPTH; c++) {
                B::template left<WIDTH>(key[c], keys, 16 * warp, 16 * c);
                B::template left<WIDTH>(value[c], values, 16 * warp, 16 * c);
            }
        }
#pragma unroll
        for (int b = 0; b < WARPS; b++) {
            // Steps before the rows do not see them.
            if (t0 + 16 * b + 15 < first_row || t0 + 16 * b >= s.time) continue;
            float w[2][4] = {}, dw[2][4] = {}, f[2][4];
#pragma unroll
            for (int c = 0; c < DEPTH; c++) {
                const int kept = L::KEEP ? c : 0;
                if (!L::KEEP) {
                    B::template left<WIDTH>(key[0], keys, 16 * warp, 16 * c);
                    B::template left<WIDTH>(value[0], values, 16 * warp, 16 * c);
                }
                typename B::Right right;
                B::template right_rows<WIDTH>(right, queries, 16 * b, 16 * c);
                B::multiply_add(w, key[kept], right);
                B::template right_rows<WIDTH>(right, douts, 16 * b, 16 * c);
                B::multiply_add(dw, value[kept], right);
            }
            if (dropout.on) factors_transposed(f, dropout, s.numbers(blockIdx.x, t0 + 16 * b, j0 + 16 * warp));
#pragma unroll
            for (int half = 0; half < 2; half++)
#pragma unroll
                for (int e = 0; e < 4; e++) {
                    const int step = 16 * b + 8 * half + lane % 4 * 2 + e % 2, j = j0 + 16 * warp + lane / 4 + e / 2 * 8;
                    const bool seen = j <= s.past + t0 + step && j >= firsts[stage][step];
                    const float weight = seen ? fast_exp2(w[half][e] * scale - log_sums[stage][step]) : 0.0f;
                    const float factor = dropout.on ? f[half][e] : 1.0f;
                    w[half][e] = weight * factor;
                    dw[half][e] = seen ? weight * (dw[half][e] * factor - deltas[stage][step]) : 0.0f;
                }
            typename B::Left left;
            B::left_of(left, w);
#pragma unroll
            for (int c = 0; c < DEPTH; c++) {
                typename B::Right right;
                B::template right_columns<WIDTH>(right, douts, 16 * b, 16 * c);
                B::multiply_add(dv[c], left, right);
            }
            B::left_of(left, dw);
#pragma unroll
            for (int c = 0; c < DEPTH; c++) {
                typename B::Right right;
                B::template right_columns<WIDTH>(right, queries, 16 * b, 16 * c);
                B::multiply_add(dk[c], left, right);
            }
        }
        __syncthreads();
        if (L::STAGES == 1 && tile + 1 < count) fetch_steps(tile + 1);
    }
    T *to = dkv + (i64(sequence) * s.time + first_row) * s.dkv_stride + head * s.p;
    const int own = rows - 16 * warp;
    put<T, WIDTH>(keys + 16 * warp * L::LD, dk, s.scale, s.scale, to, s.dkv_stride, own, s);
    put<T, WIDTH>(values + 16 * warp * L::LD, dv, 1.0f, 1.0f, to + d, s.dkv_stride, own, s);
}
