// The carry between blocks that hold consecutive tiles of time of the same channels.
//
// A tile of scan steps maps the state x before it to `A x + H`. G tiles make a group. Each tile
// publishes (A, H) as soon as it knows them; the last tile of a group also folds them onto
// the carry of its group and publishes the carry of the next. Every tile folds the same numbers in the
// same order whenever they arrive, so the result does not depend on timing.
//
// Every value travels in one 8-byte word together with the number of the launch ("epoch"), so a value
// that is there is valid and no fence is needed. Values and epochs keep to even and odd words of the
// scratch buffer, whatever the shape; a word of an earlier launch never has the epoch of a later one
// (for 2^32 launches). Tiles are numbered with time slowest, and blocks start in the order of their
// numbers, so the tiles that a block waits for are done or running.
//
// Scratch in words: [0] launches so far, [1] blocks done, [2,3] unused; from 4 the pairs (A, epoch, H, epoch) of tile i,
// sequence and channel q at 4 (i Q + q), with Q = B D; behind them, (carry, epoch) of group g at 2 (g Q + q).
#pragma once

// 0: one lane arrives at the mbarrier for its warp, and who only tells does not wait. 1: every lane that has stored maps arrives, which
// needs no step by bar.warp.sync and takes CL times as many arrivals, and who tells waits too: for checkers, see exchange.cuh.
#ifndef REC_ARRIVE_EACH
#define REC_ARRIVE_EACH 0
#endif

namespace rec {

__device__ __forceinline__ unsigned long long tagged(float x, unsigned epoch) {
  return ((unsigned long long)epoch << 32) | __float_as_uint(x);
}
__device__ __forceinline__ bool is_of(unsigned long long w, unsigned epoch) { return (unsigned)(w >> 32) == epoch; }
__device__ __forceinline__ float value_of(unsigned long long w) { return __uint_as_float((unsigned)w); }

__device__ __forceinline__ void publish(unsigned long long *p, unsigned long long x) {
  asm volatile("st.relaxed.gpu.global.b64 [%0], %1;" :: "l"(p), "l"(x) : "memory");
}
__device__ __forceinline__ void publish2(unsigned long long *p, unsigned long long x, unsigned long long y) {
  asm volatile("st.relaxed.gpu.global.v2.b64 [%0], {%1,%2};" :: "l"(p), "l"(x), "l"(y) : "memory");
}
__device__ __forceinline__ unsigned long long peek(const unsigned long long *p) {
  unsigned long long x;
  asm volatile("ld.relaxed.gpu.global.b64 %0, [%1];" : "=l"(x) : "l"(p) : "memory");
  return x;
}
__device__ __forceinline__ void peek2(const unsigned long long *p, unsigned long long &x, unsigned long long &y) {
  asm volatile("ld.relaxed.gpu.global.v2.b64 {%0,%1}, [%2];" : "=l"(x), "=l"(y) : "l"(p) : "memory");
}

// A barrier at which some warps only tell that they came.
template <int THREADS> __device__ __forceinline__ void await_all(int id) {
  __syncwarp();
  asm volatile("bar.sync %0, %1;" :: "r"(id), "n"(THREADS) : "memory");
}
template <int THREADS> __device__ __forceinline__ void tell(int id) {
  __syncwarp();
#if REC_ARRIVE_EACH
  asm volatile("bar.sync %0, %1;" :: "r"(id), "n"(THREADS) : "memory");
#else
  asm volatile("bar.arrive %0, %1;" :: "r"(id), "n"(THREADS) : "memory");
#endif
}

// A barrier that can be asked: W arrivals end a phase.
struct Phase {
  unsigned address;
  unsigned parity;
  __device__ __forceinline__ explicit Phase(unsigned long long *word)
      : address((unsigned)__cvta_generic_to_shared(word)), parity(0) {}
  __device__ __forceinline__ void init(int arrivals) const {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" :: "r"(address), "r"(arrivals) : "memory");
  }
  __device__ __forceinline__ void arrive() const {
    asm volatile("{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" :: "r"(address) : "memory");
  }
  __device__ __forceinline__ bool over() const {
    unsigned over;
    asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(over) : "r"(address), "r"(parity) : "memory");
    return over;
  }
};

// What a tile sees of the chain.
struct Link {
  unsigned *scratch;
  int tile, tiles;     // this tile and how many there are
  long long q, width;  // the first channel of this block among all B D, and B D
};

// What a chain warp has read of the values before its tile, for CPL channels a lane.
template <int G, int CPL> struct Seen {
  unsigned long long carry[CPL], a[CPL][G > 1 ? G - 1 : 1], h[CPL][G > 1 ? G - 1 : 1];

  // Reads everything that `mine` channels need; true once all of it is of this launch.
  __device__ __forceinline__ void read(const Link &l, int lane, int count, const unsigned long long *pairs,
                                       const unsigned long long *carries) {
    const int group = l.tile / G, before = l.tile % G;
#pragma unroll
    for (int k = 0; k < CPL; k++) {
      const int c = lane + 32 * k;
      if (c >= count) continue;
      if (group > 0) carry[k] = peek(carries + ((group - 1) * l.width + l.q + c));
#pragma unroll
      for (int j = 0; j < G - 1; j++)
        if (j < before) peek2(pairs + 2 * (((long long)group * G + j) * l.width + l.q + c), a[k][j], h[k][j]);
    }
  }
  // The same in all lanes.
  __device__ __forceinline__ bool complete(const Link &l, int lane, int count, unsigned epoch) const {
    const int group = l.tile / G, before = l.tile % G;
    bool all = true;
#pragma unroll
    for (int k = 0; k < CPL; k++) {
      if (lane + 32 * k >= count) continue;
      if (group > 0) all = all && is_of(carry[k], epoch);
#pragma unroll
      for (int j = 0; j < G - 1; j++)
        if (j < before) all = all && is_of(a[k][j], epoch) && is_of(h[k][j], epoch);
    }
    return __all_sync(~0u, all);
  }
};

// The warp that carries: waits for the maps of the W data warps (`sa`, `sh`), finds the state before each,
// which it leaves in `sa` (barrier 2), and publishes what the tiles behind need.
// `start` gives the state before the first tile.
template <class Cell, int G, int CH, int W, int THREADS, class Start>
__device__ __forceinline__ void carry_on(const Link &l, unsigned epoch, int lane, int count, Phase &mapped,
                                         float (*sa)[CH], const float (*sh)[CH], Start start) {
  constexpr int CPL = (CH + 31) / 32;
  auto pairs = (unsigned long long *)(l.scratch + 4);
  auto carries = pairs + (G > 1 ? 2 * l.tiles * l.width : 0);
  const int group = l.tile / G, before = l.tile % G;
  const bool last = l.tile == l.tiles - 1;
  float x[CPL];
  if (group == 0) {
#pragma unroll
    for (int k = 0; k < CPL; k++) x[k] = lane + 32 * k < count ? start(lane + 32 * k) : 0.f;
  }
  Seen<G, CPL> seen;
  seen.read(l, lane, count, pairs, carries);
  bool complete = seen.complete(l, lane, count, epoch);
  auto look = [&] {
    seen.read(l, lane, count, pairs, carries);
    complete = seen.complete(l, lane, count, epoch);
  };
  // While the maps are not there, go on looking: a look that finds its values early costs nothing later.
  if constexpr (G == 1) {
    while (!complete) look();
    await_all<THREADS>(1);
  } else {
    while (!__all_sync(~0u, mapped.over()))
      if (!complete) look();
    mapped.parity ^= 1;
  }
  float A[CPL], H[CPL];
  if (G > 1 && !last) {
#pragma unroll
    for (int k = 0; k < CPL; k++) {
      const int c = lane + 32 * k;
      if (c >= count) continue;
      A[k] = 1.f;
      H[k] = 0.f;
#pragma unroll
      for (int w = 0; w < W; w++) Cell::join(A[k], H[k], sa[w][c], sh[w][c]);
      if (before < G - 1)
        publish2(pairs + 2 * (l.tile * l.width + l.q + c), tagged(A[k], epoch), tagged(H[k], epoch));
    }
  }
  while (!complete) look();
#pragma unroll
  for (int k = 0; k < CPL; k++) {
    const int c = lane + 32 * k;
    if (c >= count) continue;
    if (group > 0) x[k] = value_of(seen.carry[k]);
#pragma unroll
    for (int j = 0; j < G - 1; j++)
      if (j < before) x[k] = Cell::apply(value_of(seen.a[k][j]), value_of(seen.h[k][j]), x[k]);
    auto carry = carries + (group * l.width + l.q + c);
    if (G > 1 && before == G - 1 && !last) publish(carry, tagged(Cell::apply(A[k], H[k], x[k]), epoch));
#pragma unroll
    for (int w = 0; w < W; w++) {
      const float a = sa[w][c], h = sh[w][c];
      sa[w][c] = x[k];
      x[k] = Cell::apply(a, h, x[k]);
    }
    if (G == 1 && !last) publish(carry, tagged(x[k], epoch));
  }
  tell<THREADS>(2);
}

// The number of this launch; a launch in which nothing is handed on through it needs no scratch.
__device__ __forceinline__ unsigned this_epoch(const unsigned *scratch, bool alone) {
  return alone ? 0 : *(const volatile unsigned *)scratch + 1;
}

// One thread of each of `parties` (a block or a cluster) says that its party has read and published all it will. The last one starts the
// next epoch.
__device__ __forceinline__ void leave(unsigned *scratch, unsigned epoch, unsigned parties) {
  if (atomicInc(scratch + 1, parties - 1) == parties - 1) *(volatile unsigned *)scratch = epoch;
}

} // namespace rec
