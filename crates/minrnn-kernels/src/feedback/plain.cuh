// Any sizes on any GPU: a block has a few sequences and all channels, and reads the whole matrix in every step.
#pragma once

#include "cuda/reduce.cuh"
#include "feedback/cells.cuh"

constexpr int PLAIN_ROWS = 4, PLAIN_THREADS = 1024;

template <class Cell> __device__ __forceinline__ void plain_forward(const Inputs &in, const Outputs &out, const Sizes &size) {
    constexpr int P = Cell::PARTS, S = Cell::SAVED, R = PLAIN_ROWS;
    const i64 D = size.channels, begin = i64(blockIdx.x) * R;
    const int rows = int(min(i64(R), size.batch - begin));
    for (i64 t = 0; t < size.time; t++) {
        // h before the step; rows that are not there read the first.
        const float *before[R];
#pragma unroll
        for (int r = 0; r < R; r++) {
            const i64 sequence = begin + (r < rows ? r : 0);
            before[r] = t > 0 ? out.h + (sequence * size.time + t - 1) * D : in.h0 == nullptr ? nullptr : in.h0 + sequence * D;
        }
        for (i64 j = threadIdx.x; j < D; j += blockDim.x) {
            float sums[R][P];
#pragma unroll
            for (int r = 0; r < R; r++) {
#pragma unroll
                for (int p = 0; p < P; p++) sums[r][p] = 0.0f;
            }
            if (before[0] != nullptr) {
#pragma unroll 4
                for (i64 k = 0; k < D; k++) {
                    float w[P];
#pragma unroll
                    for (int p = 0; p < P; p++) w[p] = in.weight[(k * P + p) * D + j];
#pragma unroll
                    for (int r = 0; r < R; r++) {
                        const float h = before[r][k];
#pragma unroll
                        for (int p = 0; p < P; p++) sums[r][p] = fmaf(h, w[p], sums[r][p]);
                    }
                }
            }
#pragma unroll
            for (int r = 0; r < R; r++) {
                if (r < rows) {
                    const i64 sequence = begin + r, at = sequence * size.time + t, state = sequence * D + j;
                    float x[P], saved[S], h = before[r] == nullptr ? 0.0f : before[r][j], c = 0.0f;
                    // c waits where this thread writes h next.
                    if (Cell::LSTM) c = t > 0 ? out.h[at * D + j] : or_zero(in.c0, state);
#pragma unroll
                    for (int p = 0; p < P; p++) {
                        x[p] = in.x[(at * P + p) * D + j];
                        sums[r][p] += or_zero(in.bias, p * D + j);
                    }
                    Cell::step(x, sums[r], h, c, saved);
                    out.h[at * D + j] = h;
                    if (out.saved != nullptr) {
#pragma unroll
                        for (int i = 0; i < S; i++) out.saved[(at * S + i) * D + j] = saved[i];
                    }
                    if (Cell::LSTM) {
                        if (t + 1 < size.time) out.h[(at + 1) * D + j] = c;
                        else if (out.last != nullptr) out.last[state] = c;
                    }
                }
            }
        }
        __syncthreads();
    }
}

// The gradients of the states before a step wait where `before` and `dx` of that step are written.
template <class Cell> __device__ __forceinline__ void plain_backward(const Inputs &in, const Gradients &g, const Sizes &size) {
    constexpr int P = Cell::PARTS, S = Cell::SAVED, R = PLAIN_ROWS;
    const i64 D = size.channels, begin = i64(blockIdx.x) * R;
    const int rows = int(min(i64(R), size.batch - begin)), lane = threadIdx.x % 32;
    const float *moved = g.dmoved == nullptr ? g.dx : g.dmoved;
    for (i64 t = size.time - 1; t >= 0; t--) {
        for (i64 j = threadIdx.x; j < D; j += blockDim.x) {
            for (int r = 0; r < rows; r++) {
                const i64 sequence = begin + r, at = sequence * size.time + t, state = sequence * D + j;
                float saved[S], dx[P], dm[P], c = 0.0f, dc = 0.0f, grad = g.dh[at * D + j];
#pragma unroll
                for (int i = 0; i < S; i++) saved[i] = g.saved[(at * S + i) * D + j];
                const float h = t > 0 ? g.h[(at - 1) * D + j] : or_zero(in.h0, state);
                if (Cell::LSTM) c = t > 0 ? g.saved[(at * S - 1) * D + j] : or_zero(in.c0, state);
                if (t + 1 < size.time) {
                    grad += g.before[at * D + j];
                    if (Cell::LSTM) dc = g.dx[at * P * D + j];
                }
                Cell::back(saved, h, c, grad, dc, dx, dm);
#pragma unroll
                for (int p = 0; p < P; p++) {
                    g.dx[(at * P + p) * D + j] = dx[p];
                    if (g.dmoved != nullptr) g.dmoved[(at * P + p) * D + j] = dm[p];
                }
                g.before[at * D + j] = h;
                if (t > 0) {
                    g.before[(at - 1) * D + j] = grad;
                    if (Cell::LSTM) g.dx[(at - 1) * P * D + j] = dc;
                } else {
                    if (g.dh0 != nullptr) g.dh0[state] = grad;
                    if (g.dc0 != nullptr) g.dc0[state] = dc;
                }
            }
        }
        __syncthreads();
        // A warp a row of the matrix.
        for (i64 j = threadIdx.x / 32; j < D; j += blockDim.x / 32) {
            float sums[R];
            const float *from[R];
#pragma unroll
            for (int r = 0; r < R; r++) {
                sums[r] = 0.0f;
                from[r] = moved + ((begin + (r < rows ? r : 0)) * size.time + t) * P * D;
            }
#pragma unroll 4
            for (i64 column = lane; column < P * D; column += 32) {
                const float w = in.weight[j * P * D + column];
#pragma unroll
                for (int r = 0; r < R; r++) sums[r] = fmaf(from[r][column], w, sums[r]);
            }
#pragma unroll
            for (int r = 0; r < R; r++) {
                const float sum = warp_sum(sums[r]);
                const i64 sequence = begin + r;
                float *to = t > 0 ? g.before + (sequence * size.time + t - 1) * D : g.dh0 == nullptr ? nullptr : g.dh0 + sequence * D;
                if (lane == 0 && r < rows && to != nullptr) to[j] += sum;
            }
        }
        __syncthreads();
    }
}
