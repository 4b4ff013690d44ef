// Sums and maxima over the threads of a warp, a group of warps or a block; the order is fixed, so the bits are.
#pragma once

#include <cstdint>

constexpr unsigned ALL = 0xffffffffu;

template <int LANES = 32, class T> __device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
    for (int step = LANES / 2; step > 0; step /= 2) x += __shfl_xor_sync(ALL, x, step);
    return x;
}

template <int LANES = 32> __device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int step = LANES / 2; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(ALL, x, step));
    return x;
}

// A barrier of `threads` threads of the block; 0 is the barrier of the whole block.
__device__ __forceinline__ void group_barrier(int id, int threads) {
#ifdef __CUDA_ARCH__
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
#else
    emulated_barrier(id, threads);
#endif
}

// Sum over the whole block, given to every thread; `shared` has 32 places and is free again afterwards.
template <class T> __device__ __forceinline__ T block_sum(T x, T *shared) {
    int warps = (blockDim.x + 31) / 32;
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = x;
    __syncthreads();
    T total = 0;
    for (int w = 0; w < warps; w++) total += shared[w];
    __syncthreads();
    return total;
}
