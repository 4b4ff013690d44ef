// The carry within a cluster: C blocks with C tiles of time, one behind the other, of the same channels.
//
// What goes from block to block goes into shared memory, by stores that the receiver counts (`Arrivals`, cuda/cluster.cuh): some 200 ns,
// where a word through the second-level cache is a microsecond on its way. Values are folded in the order in which `carry_on` folds them, so the
// bits are those of the same tile without clusters.
//
// - G > 1: a cluster has the whole sequence. Each tile sends its map (A, H) to all behind it, which fold what came onto the state before
//   the first step. Nothing lies in global memory: no scratch, no count of launches.
// - G = 1: a carry goes on from tile to tile, from the last of a cluster to the first of the next as chain.cuh says.
//
// What orders each access: the bytes that come, as in cuda/cluster.cuh, 1 and 4. Each place is written once in a launch, so that 2 and 3 have no
// case here. That the other's mbarrier is there before the first byte: `init` with its fence before the arrival at the barrier of the
// cluster in `meet`, its wait before the first `send`. Within a block, as exchange.cuh says.
//
// With REC_ARRIVE_EACH=1, for checkers that do not count bytes, nothing is counted: values are stored plainly, and all threads of the cluster
// meet (`turn`) between the stores and the loads of each turn, of which there is one, or with G = 1 one a hand-over.
#pragma once
#include "../cuda/cluster.cuh"
#include "chain.cuh"

namespace rec {

constexpr bool COUNTED = !REC_ARRIVE_EACH;

// One turn of the hand-over is over, in all blocks; where bytes are counted, nobody meets for it.
template <int C> __device__ __forceinline__ void turn() {
  if constexpr (!COUNTED) {
    __syncwarp();
    cluster_arrive<C>();
    cluster_wait<C>();
  }
}
template <int C> __device__ __forceinline__ void turns(int n) {
  if constexpr (!COUNTED)
    for (int i = 0; i < n; i++) turn<C>();
}
template <int G, int C> constexpr int TURNS = C == 1 ? 0 : G > 1 ? 1 : C - 1;

// One value, or two, to where `own` lies in the block `rank`.
__device__ __forceinline__ void hand(float *own, int rank, float x, unsigned long long *come) {
  if constexpr (COUNTED) send1(own, rank, x, come);
  else store1(own, rank, x);
}
__device__ __forceinline__ void hand(float *own, int rank, float x, float y, unsigned long long *come) {
  if constexpr (COUNTED) {
    send2(own, rank, x, y, come);
  } else {
    store1(own, rank, x);
    store1(own + 1, rank, y);
  }
}

// Readies the place for what comes from the others; as many bytes come in every block of a rank, whatever D is.
template <int G, int C, class Maps> __device__ __forceinline__ void await_others(Maps &maps) {
  const int rank = cluster_rank<C>(), values = G > 1 ? 2 * rank : min(rank, 1);
  Arrivals(&maps.come).init();
  Arrivals(&maps.come).expect(values * (int)sizeof(maps.in[0]));
}

// As `carry_on`, in a cluster.
template <class Cell, int G, int C, int THREADS, class Maps, class Start>
__device__ __forceinline__ void carry_together(const Link &l, unsigned epoch, int lane, int count, Phase &mapped,
                                               Maps &maps, Start start) {
  constexpr int CH = sizeof(maps.a[0]) / sizeof(float), W = sizeof(maps.a) / sizeof(maps.a[0]), CPL = CH / 32;
  static_assert(CH % 32 == 0, "all lanes carry as many channels");
  const int rank = l.tile % C;
  auto carries = (unsigned long long *)(l.scratch + 4) + l.tile / C * l.width + l.q;
  float x[CPL];
#pragma unroll
  for (int k = 0; k < CPL; k++) {
    const int c = lane + 32 * k;
    x[k] = c < count && (G > 1 || l.tile == 0) ? start(c) : 0.f;
  }
  cluster_wait<C>();
  if constexpr (G > 1) {
    while (!__all_sync(~0u, mapped.over())) {}
    if (rank < C - 1) {
#pragma unroll
      for (int k = 0; k < CPL; k++) {
        const int c = lane + 32 * k;
        float A = 1.f, H = 0.f;
#pragma unroll
        for (int w = 0; w < W; w++) Cell::join(A, H, maps.a[w][c], maps.h[w][c]);
        float *to = &maps.in[2 * rank][0] + 2 * c;
        for (int r = rank + 1; r < C; r++) hand(to, r, A, H, &maps.come);
      }
    }
    turn<C>();
    if (COUNTED && rank > 0) Arrivals(&maps.come).wait(0);
#pragma unroll
    for (int k = 0; k < CPL; k++) {
      const int c = lane + 32 * k;
      for (int j = 0; j < rank; j++) {
        const float2 map = reinterpret_cast<const float2 *>(&maps.in[2 * j][0])[c];
        x[k] = Cell::apply(map.x, map.y, x[k]);
      }
    }
  } else {
    if (rank == 0 && l.tile > 0) {
      unsigned long long word[CPL];
      bool there;
      do {
        there = true;
#pragma unroll
        for (int k = 0; k < CPL; k++) {
          if (lane + 32 * k >= count) continue;
          word[k] = peek(carries - l.width + lane + 32 * k);
          there = there && is_of(word[k], epoch);
        }
      } while (!__all_sync(~0u, there));
#pragma unroll
      for (int k = 0; k < CPL; k++) x[k] = lane + 32 * k < count ? value_of(word[k]) : 0.f;
    }
    await_all<THREADS>(1);
    turns<C>(rank);
    if (rank > 0) {
      if constexpr (COUNTED) Arrivals(&maps.come).wait(0);
#pragma unroll
      for (int k = 0; k < CPL; k++) x[k] = maps.in[0][lane + 32 * k];
    }
    // Others wait for the carry; the states can wait.
    if (rank < C - 1 || l.tile < l.tiles - 1) {
#pragma unroll
      for (int k = 0; k < CPL; k++) {
        const int c = lane + 32 * k;
        float y = x[k];
#pragma unroll
        for (int w = 0; w < W; w++) y = Cell::apply(maps.a[w][c], maps.h[w][c], y);
        if (rank < C - 1) hand(&maps.in[0][c], rank + 1, y, &maps.come);
        else if (c < count) publish(carries + c, tagged(y, epoch));
      }
    }
    turns<C>(C - 1 - rank);
  }
#pragma unroll
  for (int k = 0; k < CPL; k++) {
    const int c = lane + 32 * k;
#pragma unroll
    for (int w = 0; w < W; w++) {
      const float a = maps.a[w][c], h = maps.h[w][c];
      maps.a[w][c] = x[k];
      x[k] = Cell::apply(a, h, x[k]);
    }
  }
  tell<THREADS>(2);
}

} // namespace rec
