// The kernels of one cell for one element type. Before it is included: OP, KIND, ELEM (words of the kernels' names),
// CELL, TYPE, ELEM_BYTES, CELL_PARTS; ALL for every tile, else only those that serve any shape. The tiles stand in `tables.rs` too, of which
// `tiles.rs` chooses: CL_W_L_VEC_G_BLOCKS_STAGES, and AGAIN at the end of a backward tile; behind both, `by` the C blocks of a cluster.
#define REC_PASTE_(a, b, c, d, e) a##_##b##_##c##_##d##e
#define REC_PASTE(a, b, c, d, e) REC_PASTE_(a, b, c, d, e)
#define REC_NAME(pass, tile) REC_PASTE(OP, pass, ELEM, KIND, tile)

#define FORWARD(CL, W, L, VEC, G, BLOCKS, STAGES)                                                                      \
  extern "C" __global__ void __launch_bounds__(32 * (W + (G > 0)), BLOCKS)                                             \
      REC_NAME(fwd, _##CL##_##W##_##L##_##VEC##_##G##_##BLOCKS##_##STAGES)(                                            \
          const void *x0, const void *x1, const float *h0, TYPE *h, unsigned *scratch, int B, int T, int D,            \
          unsigned total) {                                                                                            \
    rec::forward_tile<CELL, TYPE, CL, W, L, VEC, G, STAGES>(x0, x1, h0, h, scratch, B, T, D, total);                   \
  }
#define BACKWARD(CL, W, L, VEC, G, BLOCKS, STAGES, AGAIN)                                                              \
  extern "C" __global__ void __launch_bounds__(32 * (W + (G > 0)), BLOCKS)                                             \
      REC_NAME(bwd, _##CL##_##W##_##L##_##VEC##_##G##_##BLOCKS##_##STAGES##_##AGAIN)(                                  \
          const void *x0, const void *x1, const float *h0, const TYPE *h, const TYPE *dh, void *dx0, void *dx1,        \
          float *dh0, unsigned *scratch, int B, int T, int D, unsigned total) {                                        \
    rec::backward_tile<CELL, TYPE, CL, W, L, VEC, G, STAGES, AGAIN>(x0, x1, h0, h, dh, dx0, dx1, dh0, scratch, B, T,   \
                                                                    D, total);                                         \
  }
#define FORWARD_BY(CL, W, L, VEC, G, BLOCKS, STAGES, C)                                                                  \
  extern "C" __global__ void __cluster_dims__(C, 1, 1) __launch_bounds__(32 * (W + 1), BLOCKS)                           \
      REC_NAME(fwd, _##CL##_##W##_##L##_##VEC##_##G##_##BLOCKS##_##STAGES##_by_##C)(                                     \
          const void *x0, const void *x1, const float *h0, TYPE *h, unsigned *scratch, int B, int T, int D,            \
          unsigned total) {                                                                                            \
    rec::forward_tile<CELL, TYPE, CL, W, L, VEC, G, STAGES, C>(x0, x1, h0, h, scratch, B, T, D, total);                \
  }
#define BACKWARD_BY(CL, W, L, VEC, G, BLOCKS, STAGES, AGAIN, C)                                                          \
  extern "C" __global__ void __cluster_dims__(C, 1, 1) __launch_bounds__(32 * (W + 1), BLOCKS)                           \
      REC_NAME(bwd, _##CL##_##W##_##L##_##VEC##_##G##_##BLOCKS##_##STAGES##_##AGAIN##_by_##C)(                           \
          const void *x0, const void *x1, const float *h0, const TYPE *h, const TYPE *dh, void *dx0, void *dx1,        \
          float *dh0, unsigned *scratch, int B, int T, int D, unsigned total) {                                        \
    rec::backward_tile<CELL, TYPE, CL, W, L, VEC, G, STAGES, AGAIN, C>(x0, x1, h0, h, dh, dx0, dx1, dh0, scratch, B,   \
                                                                       T, D, total);                                   \
  }

FORWARD(32, 15, 8, 1, 8, 2, 0)
BACKWARD(32, 15, 8, 1, 8, 2, 0, 0)
FORWARD(8, 7, 4, 4, 8, 4, 0)
#if ELEM_BYTES == 4
BACKWARD(8, 7, 4, 4, 8, 2, 0, 0)
#else
FORWARD(8, 8, 4, 4, 8, 4, 0)
#if CELL_PARTS < 3
BACKWARD(8, 7, 4, 4, 8, 3, 0, 1)
BACKWARD(8, 8, 4, 4, 8, 3, 0, 1)
#else
BACKWARD(8, 7, 4, 4, 8, 2, 0, 1)
BACKWARD(8, 8, 4, 4, 8, 2, 0, 1)
#endif
#endif
#ifdef ALL
#if ELEM_BYTES == 4
FORWARD(8, 7, 8, 4, 8, 2, 1)
FORWARD(32, 7, 8, 2, 1, 3, 2)
FORWARD(16, 8, 4, 4, 1, 3, 0)
BACKWARD(8, 7, 4, 4, 8, 2, 1, 0)
#if CELL_PARTS < 3
BACKWARD(16, 8, 4, 4, 1, 2, 0, 0)
#else
BACKWARD(16, 7, 4, 4, 1, 2, 0, 0)
#endif
BACKWARD(32, 15, 4, 2, 1, 1, 2, 0)
#else
FORWARD(8, 7, 8, 4, 8, 2, 2)
FORWARD(16, 15, 8, 4, 1, 1, 2)
FORWARD(32, 8, 4, 4, 1, 4, 0)
BACKWARD(8, 7, 4, 4, 8, 2, 2, 0)
BACKWARD(16, 15, 4, 4, 1, 1, 2, 0)
#if CELL_PARTS < 3
BACKWARD(32, 8, 4, 4, 1, 3, 0, 1)
#else
BACKWARD(32, 8, 4, 4, 1, 2, 0, 1)
#endif
#endif
#endif

// Where a GPU has clusters.
#if defined(ALL) && (!defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900)
#if ELEM_BYTES == 4
FORWARD_BY(16, 8, 4, 4, 1, 3, 0, 2)
BACKWARD_BY(8, 4, 4, 4, 8, 6, 0, 2, 8)
#if CELL_PARTS < 3
BACKWARD_BY(8, 8, 4, 4, 8, 2, 0, 0, 4)
#endif
#else
FORWARD_BY(8, 16, 4, 4, 8, 2, 0, 2)
#if CELL_PARTS < 3
BACKWARD_BY(8, 16, 4, 4, 8, 2, 0, 2, 2)
#endif
#endif
#endif

// For the measurement `tiles_by_time` alone: those before, by seven warps, and those that hold all steps (G = 0), which round in
// another order.
#if defined(ALL) && defined(REC_SWEEP)
#if ELEM_BYTES == 4
FORWARD(16, 7, 4, 4, 1, 4, 0)
FORWARD(16, 8, 4, 4, 1, 4, 0)
FORWARD(16, 16, 4, 4, 1, 2, 0)
FORWARD(4, 8, 8, 4, 0, 2, 0)
#if CELL_PARTS < 3
BACKWARD(16, 7, 4, 4, 1, 2, 0, 0)
#endif
#else
FORWARD(32, 7, 4, 4, 1, 4, 0)
FORWARD(4, 8, 8, 4, 0, 2, 0)
BACKWARD(4, 8, 8, 4, 0, 2, 0, 1)
#if CELL_PARTS < 3
BACKWARD(32, 7, 4, 4, 1, 3, 0, 1)
#else
BACKWARD(32, 7, 4, 4, 1, 2, 0, 1)
#endif
#endif
#endif

extern "C" __global__ void __launch_bounds__(128)
    REC_NAME(fwd, _simple)(const void *x0, const void *x1, const float *h0, TYPE *h, int B, int T, int D) {
  rec::forward_simple<CELL, TYPE>(x0, x1, h0, h, B, T, D);
}
extern "C" __global__ void __launch_bounds__(128)
    REC_NAME(bwd, _simple)(const void *x0, const void *x1, const float *h0, const TYPE *h, const TYPE *dh, void *dx0,
                           void *dx1, float *dh0, int B, int T, int D) {
  rec::backward_simple<CELL, TYPE>(x0, x1, h0, h, dh, dx0, dx1, dh0, B, T, D);
}

#undef FORWARD
#undef BACKWARD
#undef FORWARD_BY
#undef BACKWARD_BY
#undef REC_NAME
#undef REC_PASTE
#undef REC_PASTE_
