// The hand-over between the warps that hold data and the chain warp of a block, in shared memory.
//
// What orders each access, by the memory consistency model of the PTX ISA:
//
// 1. The maps, from a data warp to the chain warp. The lanes of its last slot store them; bar.warp.sync makes the stores of all
//    lanes come before what lane 0 does then. G = 1: bar.arrive of every lane synchronizes with the chain warp's bar.sync at
//    barrier 1. Else lane 0's mbarrier.arrive, a release at CTA scope, is cumulative: it carries the stores that the
//    bar.warp.sync put before it; every lane of the chain warp loads only after its own mbarrier.test_wait was true, an
//    acquire at CTA scope of the phase that all data warps have arrived at.
// 2. The states, from the chain warp to the data warps. Each lane stores where it alone has loaded; bar.warp.sync, then
//    bar.arrive of every lane at barrier 2 synchronizes with bar.sync of every data lane, and their loads come behind it.
// 3. The maps of the next tile (STAGES > 0), over what was read of this one. The chain warp's loads come before its arrival at
//    barrier 2, the stores behind it. The states that other lanes of the same warp load behind barrier 2 are kept from the
//    next stores by a bar.warp.sync of their own: shuffles order no memory.
// 4. A phase of the mbarrier is not overrun: a data warp arrives for the next tile behind barrier 2, at which the chain warp
//    arrived after its test_wait had seen the end of this one.
//
// compute-sanitizer's racecheck reports two of these, and in each what it shows is what follows if it counts for an mbarrier only what
// the arriving threads did themselves, and for a split barrier only the bar.sync: 1 of lanes that do not arrive (G > 1), and 2, the chain
// warp's stores behind its bar.sync at barrier 1 against loads behind bar.sync at barrier 2 (G = 1). A build with REC_ARRIVE_EACH=1 has
// every lane arrive at the mbarrier, and bar.sync in the place of bar.arrive: what is still reported there is none of these.
#pragma once
#include "chain.cuh"
#include "together.cuh"

namespace rec {

// The affine maps of the warps of a block; `a` then becomes the state before each warp.
// It takes 16 + 8 W CH + 4 IN CH bytes at the start of the shared memory.
// IN: values a channel that come from the other blocks of a cluster, counted by `come`: see together.cuh.
template <int CH, int W, int IN> struct alignas(16) Maps : Maps<CH, W, 0> {
  float in[IN][CH];
};
template <int CH, int W> struct alignas(16) Maps<CH, W, 0> {
  unsigned long long mapped, come;
  float a[W][CH];
  float h[W][CH];
};
template <int G, int C> constexpr int inbox = C == 1 ? 0 : G > 1 ? 2 * (C - 1) : 1;

// Readies what `exchange` needs.
template <int CL, int W, int G, int C, class Maps> __device__ __forceinline__ void meet(Maps &maps) {
  if constexpr (G > 1) {
    if (threadIdx.x == 0) Phase(&maps.mapped).init(REC_ARRIVE_EACH ? CL * W : W);
    if constexpr (C == 1) __syncthreads();
  }
  if constexpr (C > 1) {
    if (threadIdx.x == 0) await_others<G, C>(maps);
    cluster_arrive_relaxed<C>();
  }
}

// Joins the maps (A, H) of the slots of a warp, each with all before it.
template <class Cell, int CL, int VEC> __device__ __forceinline__ void join_slots(float (&A)[VEC], float (&H)[VEC]) {
  constexpr int S = 32 / CL;
  const int slot = threadIdx.x % 32 / CL;
#pragma unroll
  for (int off = 1; off < S; off *= 2) {
#pragma unroll
    for (int j = 0; j < VEC; j++) {
      float below_a = __shfl_up_sync(~0u, A[j], off * CL), below_h = __shfl_up_sync(~0u, H[j], off * CL);
      if (slot >= off) {
        Cell::join(below_a, below_h, A[j], H[j]);
        A[j] = below_a;
        H[j] = below_h;
      }
    }
  }
}
// From the joined maps those of the slot before.
template <int CL, int VEC> __device__ __forceinline__ void step_back(float (&A)[VEC], float (&H)[VEC]) {
  if constexpr (CL < 32) {
#pragma unroll
    for (int j = 0; j < VEC; j++) {
      A[j] = __shfl_up_sync(~0u, A[j], CL);
      H[j] = __shfl_up_sync(~0u, H[j], CL);
    }
  }
}

// Where a block has all steps of its channels (G = 0), no other block is asked and no warp carries: each warp takes the state before
// the first step, `x`, through the maps of the warps before it by itself, in the order in which a chain warp would.
template <class Cell, int CL, int W, int VEC, class Maps>
__device__ __forceinline__ void exchange_alone(Maps &maps, float (&A)[VEC], float (&H)[VEC], float (&x)[VEC]) {
  constexpr int S = 32 / CL;
  const int warp = threadIdx.x / 32, slot = threadIdx.x % 32 / CL, c = threadIdx.x % CL * VEC;
  join_slots<Cell, CL>(A, H);
  if (slot == S - 1) {
#pragma unroll
    for (int j = 0; j < VEC; j++) {
      maps.a[warp][c + j] = A[j];
      maps.h[warp][c + j] = H[j];
    }
  }
  step_back<CL>(A, H);
  __syncthreads();
#pragma unroll 4
  for (int w = 0; w < warp; w++) {
#pragma unroll
    for (int j = 0; j < VEC; j++) x[j] = Cell::apply(maps.a[w][c + j], maps.h[w][c + j], x[j]);
  }
  if (slot > 0) {
#pragma unroll
    for (int j = 0; j < VEC; j++) x[j] = Cell::apply(A[j], H[j], x[j]);
  }
}

// Leaves the map of this warp for the chain warp, and gets the state before this thread's slot. (A, H): the
// map of the slot. LOOPS: whether the block has more than one tile. C: blocks of its cluster.
template <class Cell, int CL, int W, int VEC, int G, bool LOOPS, int C, class Maps>
__device__ __forceinline__ void exchange(Maps &maps, float (&A)[VEC], float (&H)[VEC], float (&x)[VEC]) {
  constexpr int S = 32 / CL;
  const int warp = threadIdx.x / 32, slot = threadIdx.x % 32 / CL;
  float *a = &maps.a[warp][threadIdx.x % CL * VEC], *h = &maps.h[warp][threadIdx.x % CL * VEC];
  join_slots<Cell, CL>(A, H);
  if constexpr (C > 1) cluster_wait<C>();  // all know by now that they have met
  if constexpr (LOOPS && S > 1) __syncwarp();  // 3: all lanes have loaded the states of the tile before
  if (slot == S - 1) {
#pragma unroll
    for (int j = 0; j < VEC; j++) {
      a[j] = A[j];
      h[j] = H[j];
    }
  }
  if constexpr (G == 1) {
    tell<32 * (W + 1)>(1);
  } else {
    __syncwarp();
    if (REC_ARRIVE_EACH ? slot == S - 1 : threadIdx.x % 32 == 0) Phase(&maps.mapped).arrive();
  }
  step_back<CL>(A, H);
  if constexpr (C > 1) turns<C>(TURNS<G, C>);
  await_all<32 * (W + 1)>(2);
#pragma unroll
  for (int j = 0; j < VEC; j++) x[j] = S > 1 && slot > 0 ? Cell::apply(A[j], H[j], a[j]) : a[j];
}

} // namespace rec
