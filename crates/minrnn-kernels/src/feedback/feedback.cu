// GRU and LSTM through all steps in one launch; `slow.rs` beside this file is the definition. f32, products by FMA in one order.
//
// What a step must do, B 64, D 384, T 4096: P D^2 B multiply-adds, 28 M of a GRU and 38 M of an LSTM, 0.9 and 1.2 us of 128 SMs; and it
// depends on the step before. Bytes of all steps once, forward x, h and what is saved, 3.2 GB, 0.8 ms of an H200, backward 5.2 GB: nothing
// beside 4096 times a microsecond. But the matrix, 1.8 or 2.4 MB, read in every step by every SM from L2 would be 20 us. So:
//
// - A cluster of 4 to 16 blocks, up to 64 channels one block alone, has ROWS sequences; nothing passes between clusters. Each block has
//   D / BLOCKS channels, with all parts of them, and its part of the matrix in registers for all steps (Tile); of more than 384 channels,
//   which would be 256 KB, some of it in shared memory (Part).
// - Forward: each block computes its channels of h and writes them into the shared memory of all blocks of the cluster: 4 ROWS D bytes in
//   and out, each counted where it arrives (Arrivals). h has two places by turns: who writes a place again has h of the step between from
//   all blocks, which send it after reading that place. A barrier of the cluster would do too, but its release is a fence of the
//   whole GPU, which waits for the step's outputs to reach memory, in every step. The first-level cache is emptied in every step either
//   way, by the acquire behind the wait.
// - A channel has 16 (8) lanes, each with fours of rows of its P columns: a read of 16 bytes of h is for 4 P multiply-adds. Sums are
//   folded over lanes so that each lane ends with one sequence (Fold).
// - Backward: a block with the gradients of its own products has the same part of the matrix give to the gradients of all D channels, and
//   sends each block its channels; the receiver adds the BLOCKS parts in their order. That is 4 ROWS D bytes again, not P times as many.
// - Inputs of the next step are fetched while this one is computed; outputs are written behind what others wait for.
//
// Up to 64 channels a block has one sequence where rows are aligned: `alone.cuh`. Where D is beyond 512 or the GPU has no such
// clusters: `plain.cuh`.
#include "feedback/alone.cuh"
#include "feedback/backward.cuh"
#include "feedback/forward.cuh"
#include "feedback/plain.cuh"

#define FORWARD_ARGUMENTS                                                                                                       \
    const float *x, const float *weight, const float *bias, const float *h0, const float *c0, float *h, float *saved,          \
        float *last, i64 batch, i64 time, i64 channels
#define FORWARD_STRUCTS Inputs{x, weight, bias, h0, c0}, Outputs{h, saved, last}, Sizes{batch, time, channels}
#define BACKWARD_ARGUMENTS                                                                                                      \
    const float *x, const float *weight, const float *bias, const float *h0, const float *c0, const float *h,                  \
        const float *saved, const float *dh, float *dx, float *dmoved, float *before, float *dh0, float *dc0, i64 batch,       \
        i64 time, i64 channels
#define BACKWARD_STRUCTS                                                                                                        \
    Inputs{x, weight, bias, h0, c0}, Gradients{h, saved, dh, dx, dmoved, before, dh0, dc0}, Sizes{batch, time, channels}

#define PLAIN(NAME, CELL)                                                                                                       \
    extern "C" __global__ void __launch_bounds__(PLAIN_THREADS) feedback_##NAME##_fwd_plain(FORWARD_ARGUMENTS) {              \
        plain_forward<CELL>(FORWARD_STRUCTS);                                                                                   \
    }                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(PLAIN_THREADS) feedback_##NAME##_bwd_plain(BACKWARD_ARGUMENTS) {             \
        plain_backward<CELL>(BACKWARD_STRUCTS);                                                                                 \
    }
PLAIN(gru, Gru)
PLAIN(lstm, Lstm)

#define ALONE(NAME, CELL)                                                                                                       \
    extern "C" __global__ void __launch_bounds__(ALONE_THREADS, 2) feedback_##NAME##_fwd_alone(FORWARD_ARGUMENTS) {           \
        alone_forward<CELL>(FORWARD_STRUCTS);                                                                                   \
    }                                                                                                                           \
    extern "C" __global__ void __launch_bounds__(ALONE_THREADS, 2) feedback_##NAME##_bwd_alone(BACKWARD_ARGUMENTS) {          \
        alone_backward<CELL>(BACKWARD_STRUCTS);                                                                                 \
    }
ALONE(gru, Gru)
ALONE(lstm, Lstm)

#define CLUSTER(NAME, CELL, QUADS, ROWS)                                                                                        \
    extern "C" __global__ void ATTRIBUTES(QUADS) __launch_bounds__(Tile<QUADS>::THREADS, 1)                                  \
        feedback_##NAME##_fwd_##QUADS##_##ROWS(FORWARD_ARGUMENTS) {                                                           \
        forward_steps<CELL, QUADS, ROWS>(FORWARD_STRUCTS);                                                                      \
    }                                                                                                                           \
    extern "C" __global__ void ATTRIBUTES(QUADS) __launch_bounds__(Tile<QUADS>::THREADS, 1)                                  \
        feedback_##NAME##_bwd_##QUADS##_##ROWS(BACKWARD_ARGUMENTS) {                                                          \
        backward_steps<CELL, QUADS, ROWS>(BACKWARD_STRUCTS);                                                                    \
    }
#define CLUSTERS(QUADS, ROWS)        \
    CLUSTER(gru, Gru, QUADS, ROWS)   \
    CLUSTER(lstm, Lstm, QUADS, ROWS)
#define ATTRIBUTES(QUADS)
CLUSTERS(1, 2)
CLUSTERS(1, 8)
#undef ATTRIBUTES

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define ATTRIBUTES(QUADS) __cluster_dims__(Tile<QUADS>::BLOCKS, 1, 1)
CLUSTERS(2, 2)
CLUSTERS(2, 8)
CLUSTERS(4, 2)
CLUSTERS(4, 8)
CLUSTERS(6, 2)
CLUSTERS(6, 8)
CLUSTERS(8, 2)
CLUSTERS(8, 8)
#endif
