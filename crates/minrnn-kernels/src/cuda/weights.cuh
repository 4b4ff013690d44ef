// Weights of rows and their total, in float64 and a fixed order.
#pragma once

#include "cuda/elements.cuh"
#include "cuda/reduce.cuh"

// Blocks, and sums in `partials`, of the first step; 256 threads.
constexpr int WEIGHT_PARTS = 128;

__device__ __forceinline__ void sum_weights(const float *weights, double *partials, i64 n) {
    __shared__ double shared[32];
    const i64 part = (n + WEIGHT_PARTS - 1) / WEIGHT_PARTS, begin = blockIdx.x * part, end = min(n, begin + part);
    double sum = 0;
#pragma unroll 4
    for (i64 i = begin + threadIdx.x; i < end; i += blockDim.x) sum += weights[i];
    sum = block_sum(sum, shared);
    if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

// The total, for every thread of the block; n without weights.
__device__ __forceinline__ double total_weight(const float *weights, const double *partials, i64 n) {
    __shared__ double total;
    if (weights == nullptr) return double(n);
    if (threadIdx.x < 32) {
        double sum = 0;
        for (int i = threadIdx.x; i < WEIGHT_PARTS; i += 32) sum += partials[i];
        sum = warp_sum(sum);
        if (threadIdx.x == 0) total = sum;
    }
    __syncthreads();
    return total;
}

// The sum of `parts` by one block.
__device__ __forceinline__ double sum_parts(const double *parts, i64 n) {
    __shared__ double shared[32];
    double sum = 0;
#pragma unroll 4
    for (i64 i = threadIdx.x; i < n; i += blockDim.x) sum += parts[i];
    return block_sum(sum, shared);
}
