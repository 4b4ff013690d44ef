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
// The same, where all that the others count on is that mbarriers are there, behind `Arrivals::init`'s fence.
template <int BLOCKS> __device__ __forceinline__ void cluster_arrive_relaxed() {
    if constexpr (BLOCKS > 1) asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
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

// 4 bytes to where `own` lies in the block `rank`, to be read behind a barrier of the cluster.
__device__ __forceinline__ void store1(float *own, int rank, float x) {
    asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(at_rank(own, rank)), "f"(x) : "memory");
}

// What blocks of the cluster send to this one, counted: a phase is over when as many bytes have come as were expected. No fence is
// needed, which would wait for every write to memory before it: a sender's bytes are counted where they arrive.
//
// What orders each access, by the memory consistency model of the PTX ISA:
//
// 1. What is sent. st.async's store comes before its own complete-tx on the receiver's mbarrier, a release at cluster scope; every thread
//    of the receiver reads only after its own try_wait was true, an acquire at cluster scope of the phase that all bytes ended.
// 2. What is overwritten. A place is written again two steps later, by blocks that have the whole of the step between: of it this block
//    sent its part behind a __syncthreads to which all its threads came after reading the place.
// 3. A phase is not overrun: it ends for one thread's `expect` and all bytes, and the bytes of the phase after it are sent by blocks
//    that have this block's part of the step between, which it sent behind that `expect` (a __syncthreads lies between them).
// 4. A block does not end before all that is sent to it has come, and it has, when it ends, nothing on its way to others that these do
//    not wait for.
//
// compute-sanitizer's racecheck does not count bytes on an mbarrier for an ordering, and reports 1 and 2.
struct Arrivals {
    unsigned address;
    __device__ __forceinline__ explicit Arrivals(unsigned long long *word)
        : address(static_cast<unsigned>(__cvta_generic_to_shared(word))) {}
    // By one thread, before a barrier of the cluster.
    __device__ __forceinline__ void init() const {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address) : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    // By one thread, once a phase. Bytes may come before it: the phase does not end without it.
    __device__ __forceinline__ void expect(int bytes) const {
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address), "r"(bytes) : "memory");
    }
    // Until the phase of this parity is over.
    __device__ __forceinline__ void wait(int parity) const {
        unsigned over;
        do {
            asm volatile(
                "{ .reg .pred p; mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                : "=r"(over)
                : "r"(address), "r"(parity)
                : "memory");
        } while (over == 0);
    }
};

// 4 and 8 bytes, the same way.
__device__ __forceinline__ void send1(float *own, int rank, float x, unsigned long long *arrivals) {
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];" ::"r"(at_rank(own, rank)), "f"(x),
                 "r"(at_rank(arrivals, rank))
                 : "memory");
}
__device__ __forceinline__ void send2(float *own, int rank, float x, float y, unsigned long long *arrivals) {
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(at_rank(own, rank)),
                 "f"(x), "f"(y), "r"(at_rank(arrivals, rank))
                 : "memory");
}

// 16 bytes to where `own` lies in the block `rank`, counted by its `arrivals`.
__device__ __forceinline__ void send4(float *own, int rank, const float (&x)[4], unsigned long long *arrivals) {
    asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(at_rank(own, rank)),
                 "f"(x[0]), "f"(x[1]), "f"(x[2]), "f"(x[3]), "r"(at_rank(arrivals, rank))
                 : "memory");
}
