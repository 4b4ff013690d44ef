// Clusters of blocks (compute capability 9.0): barriers, and writes into each other's shared memory; a block alone on any GPU.
#pragma once

// Shared memory of the block, of one type.
#define SHARED(NAME, ...) __shared__ __align__(16) __VA_ARGS__ NAME

template <int BLOCKS> __device__ __forceinline__ int cluster_rank() {
    unsigned rank = 0;
    if constexpr (BLOCKS > 1) asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return int(rank);
}

// Between the two, no thread may count on what other threads wrote; all threads of all blocks come here.
template <int BLOCKS> __device__ __forceinline__ void cluster_arrive() {
    if constexpr (BLOCKS > 1) asm volatile("barrier.cluster.arrive.release;" ::: "memory");
}
template <int BLOCKS> __device__ __forceinline__ void cluster_wait() {
    if constexpr (BLOCKS > 1) asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
    else __syncthreads();
}

__device__ __forceinline__ unsigned at_rank(const void *own, int rank) {
    unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(own)), there;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    return there;
}

// To where `own` lies in the block `rank`.
template <int BLOCKS> __device__ __forceinline__ void put(float *own, int rank, float x) {
    if constexpr (BLOCKS > 1) asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(at_rank(own, rank)), "f"(x) : "memory");
    else *own = x;
}
template <int BLOCKS> __device__ __forceinline__ void put4(float *own, int rank, const float (&x)[4]) {
    if constexpr (BLOCKS > 1)
        asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(at_rank(own, rank)), "f"(x[0]), "f"(x[1]),
                     "f"(x[2]), "f"(x[3])
                     : "memory");
    else *reinterpret_cast<float4 *>(own) = make_float4(x[0], x[1], x[2], x[3]);
}
