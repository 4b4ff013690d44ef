// A block holds one tile of time of one stretch of channels in registers: each byte is read once and written once.
//
// A lane has VEC channels, CL lanes lie side by side, so a warp has 32/CL slots of time, of L consecutive steps
// each, and a block has W warps of data. All loads are issued before the first use. Each slot folds its steps into one affine
// map; one more warp of the block finds the state before each slot, see chain.cuh; then every slot runs its
// steps again from registers. STAGES: a block takes every gridDim.x-th tile, and so many tiles ahead are on their
// way into shared memory; 0: a block has one tile, loaded straight into registers. G = 0: a tile has all steps, so that there is
// nothing to hand on and no chain warp. C > 1: so many blocks, each with one tile, are a cluster, see together.cuh.
#pragma once
#include "../cuda/turns.cuh"
#include "cells.cuh"
#include "chain.cuh"
#include "element.cuh"
#include "exchange.cuh"

namespace rec {

template <bool, class A, class B> struct Pick { using type = A; };
template <class A, class B> struct Pick<false, A, B> { using type = B; };

// The parts of one row, VEC channels of it.
template <class Cell, class E, int VEC> struct Row {
  using First = typename Pick<Cell::PACKED, E, float>::type;
  Pack<First, VEC> first;
  Pack<E, VEC> rest[Cell::PARTS - 1];

  __device__ __forceinline__ void zero() {
    first.zero();
#pragma unroll
    for (int p = 0; p < Cell::PARTS - 1; p++) rest[p].zero();
  }
  __device__ __forceinline__ void forget(unsigned zero) {
    first.forget(zero);
#pragma unroll
    for (int p = 0; p < Cell::PARTS - 1; p++) rest[p].forget(zero);
  }
  __device__ __forceinline__ void get(int j, float (&x)[3]) const {
    x[0] = first.get(j);
#pragma unroll
    for (int p = 0; p < Cell::PARTS - 1; p++) x[p + 1] = rest[p].get(j);
  }
};

// Where the parts are: side by side in each row of one tensor, or in two tensors, the first of them f32.
template <class Cell, class E> struct Place {
  using First = typename Pick<Cell::PACKED, E, float>::type;
  First *first;
  E *second;
  __device__ __forceinline__ Place(const void *x, const void *y, int D) : first((First *)x) {
    if constexpr (Cell::PACKED) second = first + D;
    else second = (E *)y;
  }
  __device__ static __forceinline__ long long stride(int D) { return Cell::PACKED ? (long long)Cell::PARTS * D : D; }
  __device__ __forceinline__ void move(long long by) {
    first += by;
    second += by;
  }
  template <int READ, int VEC> __device__ __forceinline__ void load(Row<Cell, E, VEC> &row, long long at, int D) const {
    row.first.load_from(first + at);
#pragma unroll
    for (int p = 0; p < READ - 1; p++) row.rest[p].load_from(second + at + (long long)p * D);
  }
  template <int VEC> __device__ __forceinline__ void store(const Row<Cell, E, VEC> &row, long long at, int D) const {
    row.first.store_to(first + at);
#pragma unroll
    for (int p = 0; p < Cell::PARTS - 1; p++) row.rest[p].store_to(second + at + (long long)p * D);
  }
};

// Division by a number that stays the same.
struct Divisor {
  unsigned d, m;
  __device__ __forceinline__ explicit Divisor(unsigned by) : d(by), m(0xffffffffu / by) {}
  // For n < 2^31, where the estimate is at most one short.
  __device__ __forceinline__ unsigned of(unsigned n, unsigned &rest) const {
    unsigned q = __umulhi(n, m);
    rest = n - q * d;
    if (rest >= d) {
      q++;
      rest -= d;
    }
    return q;
  }
};

// How the tiles are numbered: channels fastest, then sequences, then time. A cluster of C blocks has C tiles of time, one behind the
// other, of the same channels, and is numbered as one tile of so many steps; of the last in time some may lie behind all steps.
template <int CL, int W, int L, int VEC, int C = 1> struct Plan {
  static constexpr int S = 32 / CL, CH = CL * VEC, SLOTS = W * S, ROWS = SLOTS * L;
  Divisor stretches, chains;  // stretches of channels of one sequence, of all
  int B, T, D, tiles;

  __device__ __forceinline__ Plan(int B, int T, int D)
      : stretches(wide(D)), chains(B * wide(D)), B(B), T(T), D(D), tiles(((unsigned)T + ROWS - 1) / ROWS) {}
  __device__ static __forceinline__ unsigned wide(int D) { return ((unsigned)D + CH - 1) / CH; }
};

// Which part of the tile of `block` a thread has.
template <int CL, int W, int L, int VEC, int C = 1> struct Spot {
  using Tiles = Plan<CL, W, L, VEC, C>;
  static constexpr int CH = Tiles::CH, ROWS = Tiles::ROWS;
  int b, c0, c, tile, step;

  __device__ __forceinline__ Spot(const Tiles &p, unsigned block) {
    unsigned rest, stretch;
    tile = p.chains.of(block / C, rest) * C + block % C;
    b = p.stretches.of(rest, stretch);
    c0 = stretch * CH;
    c = c0 + threadIdx.x % CL * VEC;
    step = tile * ROWS + threadIdx.x / CL * L;
  }
  __device__ __forceinline__ long long channel(const Tiles &p) const { return (long long)b * p.D + c0; }
};

// The values of one tile that a thread needs, L steps of each of N packs; loaded at once or asked for in the background.
template <int THREADS> struct Inbox {
  char *memory;
  int thread;
  __device__ __forceinline__ unsigned address(int offset) const {
    return (unsigned)__cvta_generic_to_shared(memory) + offset * THREADS;
  }
};

// How the packs of a tile reach the registers.
enum class Way { Load, Ask, Take };

template <Way WAY, int THREADS, class P, class E>
__device__ __forceinline__ void bring(const Inbox<THREADS> &in, P &pack, int offset, const E *from) {
  if constexpr (WAY == Way::Load) pack.load_from(from);
  else if constexpr (WAY == Way::Ask) P::template ask_for<THREADS>(in.address(offset), in.thread, from);
  else pack.template take_from<THREADS>(in.memory + offset * THREADS, in.thread);
}

// What a forward tile reads.
template <class Cell, class E, int L, int VEC> struct ForwardInput {
  using R = Row<Cell, E, VEC>;
  static constexpr int FIRST = sizeof(R::first), REST = sizeof(Pack<E, VEC>);
  static constexpr int ROW = FIRST + (Cell::PARTS - 1) * REST, BYTES = L * ROW;
  R row[L];

  template <Way WAY, int THREADS, class At>
  __device__ __forceinline__ void bring_all(const Inbox<THREADS> &in, const At &at, const void *x0, const void *x1, int T,
                                            int D) {
    Place<Cell, E> x(x0, x1, D);
    const long long stride = x.stride(D);
    x.move(((long long)at.b * T + at.step) * stride + at.c);
    const int steps = at.c < D ? T - at.step : 0;
    const bool full = at.c0 + At::CH <= D && (at.tile + 1) * At::ROWS <= T;
    auto one = [&](int i) {
      bring<WAY>(in, row[i].first, i * ROW, x.first + i * stride);
#pragma unroll
      for (int p = 0; p < Cell::PARTS - 1; p++)
        bring<WAY>(in, row[i].rest[p], i * ROW + FIRST + p * REST, x.second + i * stride + (long long)p * D);
    };
    if (full || WAY == Way::Take) {
#pragma unroll
      for (int i = 0; i < L; i++) one(i);
    } else {
#pragma unroll
      for (int i = 0; i < L; i++) {
        if (WAY == Way::Load) row[i].zero();
        if (i < steps) one(i);
      }
    }
  }
};

// What a backward tile reads. Steps run backward in time; `prev` is h one step earlier in time.
template <class Cell, class E, int L, int VEC> struct BackwardInput {
  using R = Row<Cell, E, VEC>;
  static constexpr int FIRST = sizeof(R::first), REST = sizeof(Pack<E, VEC>);
  static constexpr int READ = Cell::READ_BACK, ROW = FIRST + (READ + 1) * REST, BYTES = L * ROW;
  R row[L];
  Pack<E, VEC> prev[L], grad[L];

  // One step from shared memory, behind all that stands before it: no step's values wait in registers for their turn.
  template <int THREADS> __device__ __forceinline__ void take(const Inbox<THREADS> &in, int i) {
    asm volatile("" ::: "memory");
    bring<Way::Take>(in, row[i].first, i * ROW, (const typename Place<Cell, E>::First *)nullptr);
#pragma unroll
    for (int p = 0; p < Cell::PARTS - 1; p++) {
      if (p < READ - 1) bring<Way::Take>(in, row[i].rest[p], i * ROW + FIRST + p * REST, (const E *)nullptr);
      else row[i].rest[p].zero();
    }
    bring<Way::Take>(in, grad[i], i * ROW + FIRST + (READ - 1) * REST, (const E *)nullptr);
    bring<Way::Take>(in, prev[i], i * ROW + FIRST + READ * REST, (const E *)nullptr);
  }
  template <Way WAY, int THREADS, class At>
  __device__ __forceinline__ void bring_all(const Inbox<THREADS> &in, const At &at, const void *x0, const void *x1,
                                            const E *h, const E *dh, int T, int D) {
    const int t = T - 1 - at.step, steps = at.c < D ? t + 1 : 0;
    const long long stride = Place<Cell, E>::stride(D), here = (long long)at.b * T + t;
    Place<Cell, E> x(x0, x1, D);
    x.move(here * stride + at.c);
    const E *from_dh = dh + here * D + at.c, *from_h = h + (here - 1) * D + at.c;
    const bool full = at.c0 + At::CH <= D && (at.tile + 1) * At::ROWS < T;
    auto one = [&](int i) {
#pragma unroll
      for (int p = READ - 1; p < Cell::PARTS - 1; p++) row[i].rest[p].zero();
      bring<WAY>(in, row[i].first, i * ROW, x.first - i * stride);
#pragma unroll
      for (int p = 0; p < READ - 1; p++)
        bring<WAY>(in, row[i].rest[p], i * ROW + FIRST + p * REST, x.second - i * stride + (long long)p * D);
      bring<WAY>(in, grad[i], i * ROW + FIRST + (READ - 1) * REST, from_dh - (long long)i * D);
    };
    auto before = [&](int i) {
      bring<WAY>(in, prev[i], i * ROW + FIRST + READ * REST, from_h - (long long)i * D);
    };
    if (full || WAY == Way::Take) {
#pragma unroll
      for (int i = 0; i < L; i++) {
        one(i);
        before(i);
      }
    } else {
#pragma unroll
      for (int i = 0; i < L; i++) {
        if (WAY == Way::Load) {
          row[i].zero();
          grad[i].zero();
          prev[i].zero();
        }
        if (i < steps) one(i);
        if (i + 1 < steps) before(i);
      }
    }
  }
};

// What the chain warp of a block does.
template <class Cell, int G, int CL, int W, int L, int VEC, int STAGES, int C, class Maps, class Start>
__device__ __forceinline__ void chain_warp(const Plan<CL, W, L, VEC, C> &plan, Maps &maps, unsigned *scratch,
                                           unsigned total, Start start) {
  using P = Plan<CL, W, L, VEC, C>;
  constexpr int THREADS = 32 * (W + 1);
  const int lane = threadIdx.x % 32;
  const bool alone = plan.tiles <= C;  // no other block, or cluster, is asked
  const unsigned epoch = this_epoch(scratch, alone);
  Phase mapped(&maps.mapped);
  for (unsigned n = blockIdx.x; n < total; n += gridDim.x) {
    const Spot<CL, W, L, VEC, C> at(plan, n);
    const long long q = at.channel(plan);
    const Link link{scratch, at.tile, plan.tiles, q, (long long)plan.B * plan.D};
    const int count = min(P::CH, plan.D - at.c0);
    auto begin = [&](int c) { return start(q + c); };
    if constexpr (C > 1) carry_together<Cell, G, C, THREADS>(link, epoch, lane, count, mapped, maps, begin);
    else carry_on<Cell, G, P::CH, W, THREADS>(link, epoch, lane, count, mapped, maps.a, maps.h, begin);
    if constexpr (STAGES == 0) break;
  }
  // Who carries last in its cluster does so behind all others of it.
  if (!alone && lane == 0 && blockIdx.x % C == C - 1) leave(scratch, epoch, gridDim.x / C);
}

// h [B,T,D] from the parts and h0 [B,D] (null: zeros).
template <class Cell, class E, int CL, int W, int L, int VEC, int G, int STAGES, int C = 1>
__device__ __forceinline__ void forward_tile(const void *x0, const void *x1, const float *h0, E *h, unsigned *scratch,
                                             int B, int T, int D, unsigned total) {
  using At = Spot<CL, W, L, VEC, C>;
  using Tiles = Plan<CL, W, L, VEC, C>;
  using Input = ForwardInput<Cell, E, L, VEC>;
  constexpr int DATA = 32 * W;
  extern __shared__ __align__(16) char all[];
  auto &maps = *reinterpret_cast<Maps<Tiles::CH, W, inbox<G, C>> *>(all);
  char *const memory = all + sizeof(maps);
  const Tiles plan(B, T, D);
  At at(plan, blockIdx.x);
  meet<CL, W, G, C>(maps);
  take_turns();
  if constexpr (G > 0) {
    if (threadIdx.x >= DATA) {
      chain_warp<Cell, G, CL, W, L, VEC, STAGES>(plan, maps, scratch, total,
                                                 [&](long long q) { return h0 ? h0[q] : 0.f; });
      return;
    }
  }
  Inbox<DATA> in{memory, (int)threadIdx.x};
  Input input;
  auto ask_for = [&](unsigned n) {
    if constexpr (STAGES > 0) {
      if (n < total) input.template bring_all<Way::Ask>(in, At(plan, n), x0, x1, T, D);
      batch();
    }
  };
#pragma unroll
  for (int s = 0; s < STAGES; s++) {
    ask_for(blockIdx.x + s * gridDim.x);
    in.memory = s + 1 < STAGES ? in.memory + Input::BYTES * DATA : memory;
  }
  for (unsigned n = blockIdx.x; n < total; n += gridDim.x) {
    if constexpr (STAGES > 0) at = At(plan, n);
    // How many of the L steps exist. Those that do not lie behind all others, where their maps reach nothing.
    const int steps = at.c < D ? T - at.step : 0;
    if constexpr (STAGES > 0) {
      answered<STAGES - 1>();
      input.template bring_all<Way::Take>(in, at, x0, x1, T, D);
    } else {
      input.template bring_all<Way::Load>(in, at, x0, x1, T, D);
    }
    float a[L][VEC], b[L][VEC], A[VEC], H[VEC], state[VEC];
    if constexpr (G == 0) {
#pragma unroll
      for (int j = 0; j < VEC; j++) state[j] = h0 && at.c < D ? h0[at.channel(plan) + at.c - at.c0 + j] : 0.f;
    }
#pragma unroll
    for (int i = 0; i < L; i++) {
#pragma unroll
      for (int j = 0; j < VEC; j++) {
        float x[3];
        input.row[i].get(j, x);
        Cell::gates(x, a[i][j], b[i][j]);
        if (i == 0) {
          A[j] = a[i][j];
          H[j] = b[i][j];
        } else {
          Cell::join(A[j], H[j], a[i][j], b[i][j]);
        }
      }
    }
    if constexpr (STAGES > 0) {
      ask_for(n + STAGES * gridDim.x);
      in.memory = in.memory + Input::BYTES * DATA < memory + STAGES * Input::BYTES * DATA
                      ? in.memory + Input::BYTES * DATA
                      : memory;
    }
    if constexpr (G == 0) exchange_alone<Cell, CL, W>(maps, A, H, state);
    else exchange<Cell, CL, W, VEC, G, (STAGES > 0), C>(maps, A, H, state);
    E *out = h + ((long long)at.b * T + at.step) * D + at.c;
#pragma unroll
    for (int i = 0; i < L; i++) {
      Pack<E, VEC> y;
#pragma unroll
      for (int j = 0; j < VEC; j++) state[j] = fmaf(a[i][j], state[j], b[i][j]);
      y.put(state);
      if (i < steps) y.store_to(out);
      out += D;
    }
    if constexpr (STAGES == 0) break;
  }
}

// The gradients dx of the parts and dh0 [B,D] (null: not wanted) from the parts, h0, h and dh. Scan steps run
// backward in time: u[t] = a[t] (dh[t] + u[t+1]) is what reaches h[t-1]. AGAIN: gates are computed twice
// instead of kept.
template <class Cell, class E, int CL, int W, int L, int VEC, int G, int STAGES, int AGAIN, int C = 1>
__device__ __forceinline__ void backward_tile(const void *x0, const void *x1, const float *h0, const E *h, const E *dh,
                                              void *dx0, void *dx1, float *dh0, unsigned *scratch, int B, int T,
                                              int D, unsigned total) {
  using At = Spot<CL, W, L, VEC, C>;
  using Tiles = Plan<CL, W, L, VEC, C>;
  using Input = BackwardInput<Cell, E, L, VEC>;
  constexpr int DATA = 32 * W, P = Cell::PARTS;
  static_assert(AGAIN < 2 || STAGES == 0, "a block with several tiles has the next one there");
  extern __shared__ __align__(16) char all[];
  auto &maps = *reinterpret_cast<Maps<Tiles::CH, W, inbox<G, C>> *>(all);
  char *const memory = all + sizeof(maps);
  const Tiles plan(B, T, D);
  At at(plan, blockIdx.x);
  meet<CL, W, G, C>(maps);
  take_turns();
  if constexpr (G > 0) {
    if (threadIdx.x >= DATA) {
      chain_warp<Cell, G, CL, W, L, VEC, STAGES>(plan, maps, scratch, total, [](long long) { return 0.f; });
      return;
    }
  }
  const unsigned zero = (unsigned)D >> 31;
  Inbox<DATA> in{memory, (int)threadIdx.x};
  Input input;
  auto ask_for = [&](unsigned n) {
    if constexpr (STAGES > 0) {
      if (n < total) input.template bring_all<Way::Ask>(in, At(plan, n), x0, x1, h, dh, T, D);
      batch();
    }
  };
#pragma unroll
  for (int s = 0; s < STAGES; s++) {
    ask_for(blockIdx.x + s * gridDim.x);
    in.memory = s + 1 < STAGES ? in.memory + Input::BYTES * DATA : memory;
  }
  for (unsigned n = blockIdx.x; n < total; n += gridDim.x) {
    if constexpr (STAGES > 0) at = At(plan, n);
    const int t = T - 1 - at.step;                     // of the first step of this slot
    const int steps = at.c < D ? t + 1 : 0;            // how many of the L steps exist; the others lie behind all that do
    const bool first = (at.tile + 1) * At::ROWS >= T;  // whether step t = 0 is in this tile
    if constexpr (STAGES > 0) {
      answered<STAGES - 1>();
      input.template bring_all<Way::Take>(in, at, x0, x1, h, dh, T, D);
    } else if constexpr (AGAIN == 2) {
      input.template bring_all<Way::Ask>(in, at, x0, x1, h, dh, T, D);
      batch();
      answered<0>();
    } else {
      input.template bring_all<Way::Load>(in, at, x0, x1, h, dh, T, D);
    }
    // The state before step i, which is h0 in f32 before the first one.
    auto previous = [&](int i, float (&y)[VEC]) {
#pragma unroll
      for (int j = 0; j < VEC; j++) y[j] = input.prev[i].get(j);
      if (first && i + 1 == steps) {
#pragma unroll
        for (int j = 0; j < VEC; j++) y[j] = h0 ? h0[(long long)at.b * D + at.c + j] : 0.f;
      }
    };
    float a[L][VEC], f[L][VEC][3], A[VEC], H[VEC], u[VEC];
#pragma unroll
    for (int i = 0; i < L; i++) {
      float y[VEC];
      if constexpr (AGAIN == 2) input.take(in, i);
      if constexpr (AGAIN == 0) previous(i, y);
#pragma unroll
      for (int j = 0; j < VEC; j++) {
        float x[3];
        input.row[i].get(j, x);
        if constexpr (AGAIN > 0) a[i][j] = Cell::keep(x);
        else Cell::slopes(x, y[j], a[i][j], f[i][j]);
        const float ag = a[i][j] * input.grad[i].get(j);
        if (i == 0) {
          A[j] = a[i][j];
          H[j] = ag;
        } else {
          Cell::join(A[j], H[j], a[i][j], ag);
        }
      }
    }
    if constexpr (STAGES > 0) {
      ask_for(n + STAGES * gridDim.x);
      in.memory = in.memory + Input::BYTES * DATA < memory + STAGES * Input::BYTES * DATA
                      ? in.memory + Input::BYTES * DATA
                      : memory;
    }
    if constexpr (G == 0) {
#pragma unroll
      for (int j = 0; j < VEC; j++) u[j] = 0.f;
      exchange_alone<Cell, CL, W>(maps, A, H, u);
    } else {
      exchange<Cell, CL, W, VEC, G, (STAGES > 0), C>(maps, A, H, u);
    }
    const long long stride = Place<Cell, E>::stride(D), here = (long long)at.b * T + t;
    Place<Cell, E> out(dx0, dx1, D);
    out.move(here * stride + at.c);
#pragma unroll
    for (int i = 0; i < L; i++) {
      float y[VEC], part[P][VEC];
      if constexpr (AGAIN == 2) input.take(in, i);
      if constexpr (AGAIN == 1) {
        input.row[i].forget(zero);
        input.prev[i].forget(zero);
        input.grad[i].forget(zero);
      }
      if constexpr (AGAIN > 0) previous(i, y);
#pragma unroll
      for (int j = 0; j < VEC; j++) {
        if constexpr (AGAIN > 0) {
          float x[3];
          input.row[i].get(j, x);
          Cell::slopes(x, y[j], a[i][j], f[i][j]);
        }
        const float d = input.grad[i].get(j) + u[j];
#pragma unroll
        for (int p = 0; p < P; p++) part[p][j] = d * f[i][j][p];
        u[j] = a[i][j] * d;
      }
      Row<Cell, E, VEC> y_out;
      y_out.first.put(part[0]);
#pragma unroll
      for (int p = 1; p < P; p++) y_out.rest[p - 1].put(part[p]);
      if (i < steps) out.store(y_out, 0, D);
      out.move(-stride);
      if (first && dh0 && i + 1 == steps) {
#pragma unroll
        for (int j = 0; j < VEC; j++) dh0[(long long)at.b * D + at.c + j] = u[j];
      }
    }
    if constexpr (STAGES == 0) break;
  }
}

} // namespace rec
