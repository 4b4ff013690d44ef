// Elements of the compute types as f32: packs of VEC elements that are one access of at most 16 bytes each.
#pragma once

#include <cstdint>
#include <cstring>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

typedef __nv_bfloat16 bf16;
typedef __half f16;
typedef float f32;
typedef long long i64;

__device__ __forceinline__ float wide(float x) { return x; }
__device__ __forceinline__ float wide(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float wide(f16 x) { return __half2float(x); }

template <class T> __device__ __forceinline__ T narrow(float x);
template <> __device__ __forceinline__ float narrow<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 narrow<bf16>(float x) { return __float2bfloat16_rn(x); }
template <> __device__ __forceinline__ f16 narrow<f16>(float x) { return __float2half_rn(x); }

// Two elements, rounded by one instruction.
template <class T> struct Pair { T a, b; };
template <class T> __device__ __forceinline__ Pair<T> narrow2(float a, float b) { return {narrow<T>(a), narrow<T>(b)}; }
template <> __device__ __forceinline__ Pair<bf16> narrow2<bf16>(float a, float b) {
    __nv_bfloat162 both = __floats2bfloat162_rn(a, b);
    return {both.x, both.y};
}
template <> __device__ __forceinline__ Pair<f16> narrow2<f16>(float a, float b) {
    __half2 both = __floats2half2_rn(a, b);
    return {both.x, both.y};
}

// The machine word of a number of bytes.
template <int BYTES> struct Word;
template <> struct Word<2> { typedef uint16_t type; };
template <> struct Word<4> { typedef uint32_t type; };
template <> struct Word<8> { typedef uint2 type; };
template <> struct Word<16> { typedef uint4 type; };

// VEC elements as they lie in memory.
template <class T, int VEC> struct Pack {
    static constexpr int BYTES = sizeof(T) * VEC;
    static constexpr int WORD = BYTES > 16 ? 16 : BYTES;
    static constexpr int WORDS = BYTES / WORD;
    typedef typename Word<WORD>::type word;

    word words[WORDS];

    // All zero bits, which is 0 in every type.
    __device__ __forceinline__ void clear() {
        memset(words, 0, BYTES);
    }
    __device__ __forceinline__ void fetch(const T *from) {
#pragma unroll
        for (int i = 0; i < WORDS; i++) words[i] = reinterpret_cast<const word *>(from)[i];
    }
    __device__ __forceinline__ void put(T *to) const {
#pragma unroll
        for (int i = 0; i < WORDS; i++) reinterpret_cast<word *>(to)[i] = words[i];
    }
    __device__ __forceinline__ void spread(float (&to)[VEC]) const {
        T at[VEC];
        memcpy(at, words, BYTES);
#pragma unroll
        for (int i = 0; i < VEC; i++) to[i] = wide(at[i]);
    }
    __device__ __forceinline__ void gather(const float (&from)[VEC]) {
        T at[VEC];
#pragma unroll
        for (int i = 0; i + 1 < VEC; i += 2) {
            Pair<T> both = narrow2<T>(from[i], from[i + 1]);
            at[i] = both.a;
            at[i + 1] = both.b;
        }
        if (VEC % 2) at[VEC - 1] = narrow<T>(from[VEC - 1]);
        memcpy(words, at, BYTES);
    }
};

template <class T, int VEC> __device__ __forceinline__ void load(float (&to)[VEC], const T *from) {
    Pack<T, VEC> pack;
    pack.fetch(from);
    pack.spread(to);
}

template <class T, int VEC> __device__ __forceinline__ void store(T *to, const float (&from)[VEC]) {
    Pack<T, VEC> pack;
    pack.gather(from);
    pack.put(to);
}

// Parameters lie anywhere in their buffer: one access where the address allows it.
template <int VEC> __device__ __forceinline__ void load_parameter(float (&to)[VEC], const float *from) {
    if (VEC > 1 && (reinterpret_cast<uintptr_t>(from) & 15) != 0) {
#pragma unroll
        for (int i = 0; i < VEC; i++) to[i] = from[i];
    } else {
        load(to, from);
    }
}

// 2^x to 2 ulp; results below the smallest normal number are 0.
__device__ __forceinline__ float fast_exp2(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

// e^x; the error grows with |x|, 6e-8 |x|.
__device__ __forceinline__ float fast_exp(float x) { return fast_exp2(x * 1.44269504f); }

// 1/x to 1 ulp, 0 for infinity.
__device__ __forceinline__ float fast_reciprocal(float x) {
#ifdef __CUDA_ARCH__
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return 1.0f / x;
#endif
}

// Dynamic shared memory as an array of T.
#ifdef __CUDA_ARCH__
#define DYNAMIC_SHARED(T, name)                                      \
    extern __shared__ __align__(16) unsigned char dynamic_shared[]; \
    T *name = reinterpret_cast<T *>(dynamic_shared)
#elif !defined(DYNAMIC_SHARED)
#define DYNAMIC_SHARED(T, name) T *name = nullptr
#endif
