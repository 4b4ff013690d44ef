// Element types and packs: VEC neighbouring channels of one row, as they lie in memory.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace rec {

using bf16 = __nv_bfloat16;
using f16 = __half;

__device__ __forceinline__ float wide(float x) { return x; }
__device__ __forceinline__ float wide(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float wide(f16 x) { return __half2float(x); }

template <class E> __device__ __forceinline__ E narrow(float x);
template <> __device__ __forceinline__ float narrow<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 narrow<bf16>(float x) { return __float2bfloat16_rn(x); }
template <> __device__ __forceinline__ f16 narrow<f16>(float x) { return __float2half_rn(x); }

// Two elements of 16 bits in one word, the first in the low half.
template <class E> __device__ __forceinline__ void unpack2(unsigned w, float &lo, float &hi);
template <> __device__ __forceinline__ void unpack2<bf16>(unsigned w, float &lo, float &hi) {
  lo = __uint_as_float(w << 16);
  hi = __uint_as_float(w & 0xffff0000u);
}
template <> __device__ __forceinline__ void unpack2<f16>(unsigned w, float &lo, float &hi) {
  __half2 x = *reinterpret_cast<__half2 *>(&w);
  float2 y = __half22float2(x);
  lo = y.x;
  hi = y.y;
}
template <class E> __device__ __forceinline__ unsigned pack2(float lo, float hi);
template <> __device__ __forceinline__ unsigned pack2<bf16>(float lo, float hi) {
  __nv_bfloat162 x = __floats2bfloat162_rn(lo, hi);
  return *reinterpret_cast<unsigned *>(&x);
}
template <> __device__ __forceinline__ unsigned pack2<f16>(float lo, float hi) {
  __half2 x = __floats2half2_rn(lo, hi);
  return *reinterpret_cast<unsigned *>(&x);
}

#ifndef REC_LOAD
#define REC_LOAD ".L1::no_allocate"
#endif
#ifndef REC_STORE
#define REC_STORE ".cs"
#endif
// Each byte is read once and written once by a launch, so nothing is kept in L1.
// Not the read-only path: a gradient may be written over the tensor it belongs to.
__device__ __forceinline__ void load(unsigned (&w)[4], const void *p) {
  asm volatile("ld.global" REC_LOAD ".v4.b32 {%0,%1,%2,%3}, [%4];"
               : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3]) : "l"(p));
}
__device__ __forceinline__ void load(unsigned (&w)[2], const void *p) {
  asm volatile("ld.global" REC_LOAD ".v2.b32 {%0,%1}, [%2];" : "=r"(w[0]), "=r"(w[1]) : "l"(p));
}
__device__ __forceinline__ void load(unsigned (&w)[1], const void *p) {
  asm volatile("ld.global" REC_LOAD ".b32 %0, [%1];" : "=r"(w[0]) : "l"(p));
}
__device__ __forceinline__ void store(void *p, const unsigned (&w)[4]) {
  asm volatile("st.global" REC_STORE ".v4.b32 [%0], {%1,%2,%3,%4};"
               :: "l"(p), "r"(w[0]), "r"(w[1]), "r"(w[2]), "r"(w[3]) : "memory");
}
__device__ __forceinline__ void store(void *p, const unsigned (&w)[2]) {
  asm volatile("st.global" REC_STORE ".v2.b32 [%0], {%1,%2};" :: "l"(p), "r"(w[0]), "r"(w[1]) : "memory");
}
__device__ __forceinline__ void store(void *p, const unsigned (&w)[1]) {
  asm volatile("st.global" REC_STORE ".b32 [%0], %1;" :: "l"(p), "r"(w[0]) : "memory");
}

// Reads BYTES (4, 8 or 16) into shared memory in the background.
template <int BYTES> __device__ __forceinline__ void ask(unsigned to, const void *p) {
  if constexpr (BYTES == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" :: "r"(to), "l"(p) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" :: "r"(to), "l"(p), "n"(BYTES) : "memory");
}
// Ends a batch of questions; waits until at most N batches are open.
__device__ __forceinline__ void batch() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> __device__ __forceinline__ void answered() { asm volatile("cp.async.wait_group %0;" :: "n"(N) : "memory"); }

// VEC elements of type E in words. `Bytes` is a multiple of 4, or E is 16 bits wide and VEC is 1.
template <class E, int VEC> struct Pack {
  static constexpr int WORDS = (int)sizeof(E) * VEC / 4;
  static constexpr int CHUNK = WORDS >= 4 ? 4 : WORDS;
  unsigned w[WORDS / CHUNK][CHUNK];

  __device__ __forceinline__ void load_from(const E *p) {
#pragma unroll
    for (int i = 0; i < WORDS / CHUNK; i++) load(w[i], (const char *)p + i * CHUNK * 4);
  }
  // Of one thread among THREADS, each of which has its own place behind `to`.
  template <int THREADS> __device__ __forceinline__ static void ask_for(unsigned to, int thread, const E *p) {
#pragma unroll
    for (int i = 0; i < WORDS / CHUNK; i++)
      ask<CHUNK * 4>(to + (i * THREADS + thread) * CHUNK * 4, (const char *)p + i * CHUNK * 4);
  }
  template <int THREADS> __device__ __forceinline__ void take_from(const char *from, int thread) {
#pragma unroll
    for (int i = 0; i < WORDS / CHUNK; i++) {
      const char *p = from + (i * THREADS + thread) * CHUNK * 4;
      if constexpr (CHUNK == 4) {
        const uint4 x = *(const uint4 *)p;
        w[i][0] = x.x, w[i][1] = x.y, w[i][2] = x.z, w[i][3] = x.w;
      } else if constexpr (CHUNK == 2) {
        const uint2 x = *(const uint2 *)p;
        w[i][0] = x.x, w[i][1] = x.y;
      } else {
        w[i][0] = *(const unsigned *)p;
      }
    }
  }
  __device__ __forceinline__ void store_to(E *p) const {
#pragma unroll
    for (int i = 0; i < WORDS / CHUNK; i++) store((char *)p + i * CHUNK * 4, w[i]);
  }
  __device__ __forceinline__ void zero() {
#pragma unroll
    for (int i = 0; i < WORDS; i++) w[i / CHUNK][i % CHUNK] = 0;
  }
  // With a `zero` that the compiler does not know to be 0, what is computed from the words before and after is
  // computed twice and not kept in registers in between.
  __device__ __forceinline__ void forget(unsigned zero) {
#pragma unroll
    for (int i = 0; i < WORDS; i++) w[i / CHUNK][i % CHUNK] ^= zero;
  }
  __device__ __forceinline__ float get(int j) const {
    if constexpr (sizeof(E) == 4) {
      return __uint_as_float(w[j / CHUNK][j % CHUNK]);
    } else {
      float lo, hi;
      unpack2<E>(w[j / 2 / CHUNK][j / 2 % CHUNK], lo, hi);
      return j % 2 ? hi : lo;
    }
  }
  __device__ __forceinline__ void put(const float (&x)[VEC]) {
    if constexpr (sizeof(E) == 4) {
#pragma unroll
      for (int j = 0; j < VEC; j++) w[j / CHUNK][j % CHUNK] = __float_as_uint(x[j]);
    } else {
#pragma unroll
      for (int j = 0; j < VEC; j += 2) w[j / 2 / CHUNK][j / 2 % CHUNK] = pack2<E>(x[j], x[j + 1]);
    }
  }
};

// One element of 16 bits.
template <class E> struct Half {
  unsigned short w;
  __device__ __forceinline__ void load_from(const E *p) {
    asm volatile("ld.global" REC_LOAD ".b16 %0, [%1];" : "=h"(w) : "l"(p));
  }
  __device__ __forceinline__ void store_to(E *p) const {
    asm volatile("st.global" REC_STORE ".b16 [%0], %1;" :: "l"(p), "h"(w) : "memory");
  }
  __device__ __forceinline__ void zero() { w = 0; }
  __device__ __forceinline__ void forget(unsigned zero) { w ^= (unsigned short)zero; }
  __device__ __forceinline__ float get(int) const {
    float lo, hi;
    unpack2<E>(w, lo, hi);
    return lo;
  }
  __device__ __forceinline__ void put(const float (&x)[1]) { w = (unsigned short)pack2<E>(x[0], 0.f); }
};
template <> struct Pack<bf16, 1> : Half<bf16> {};
template <> struct Pack<f16, 1> : Half<f16> {};

} // namespace rec
