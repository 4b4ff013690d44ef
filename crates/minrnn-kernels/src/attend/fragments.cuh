// Products of 16 x 16 blocks by the tensor cores, operands from shared memory or from earlier sums. A thread of a warp is g = lane / 4 and
// i = lane % 4; sums of 16 rows and 8 columns: c[0], c[1] are row g, columns 2 i and 2 i + 1, c[2], c[3] the same of row g + 8.
#pragma once

#include "cuda/elements.cuh"

// Tensor cores for these types, and copies to shared memory, are there from compute capability 8.0 on; `cuda.rs` refuses others.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define SINCE_80(...) asm(__VA_ARGS__)
#define SINCE_80_IN_ORDER(...) asm volatile(__VA_ARGS__)
#else
#define SINCE_80(...) __trap()
#define SINCE_80_IN_ORDER(...) __trap()
#endif

// What the products are computed in: bf16, f16; tf32; f32 from three products of tf32 parts.
struct InBf16 { typedef bf16 type; };
struct InF16 { typedef f16 type; };
struct InTf32 { typedef f32 type; };
struct InF32 { typedef f32 type; };

// Elements from a row of a tile to the next: rows of 16 bytes more lie in other banks.
template <class T, int WIDTH> constexpr int STRIDE = WIDTH + 16 / int(sizeof(T));

__device__ __forceinline__ uint32_t shared_address(const void *p) {
#ifdef __CUDA_ARCH__
    return uint32_t(__cvta_generic_to_shared(p));
#else
    return 0;
#endif
}

__device__ __forceinline__ void matrices(uint32_t (&x)[4], const void *row) {
    SINCE_80_IN_ORDER("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ __forceinline__ void matrices_transposed(uint32_t (&x)[4], const void *row) {
    SINCE_80_IN_ORDER("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(x[0]), "=r"(x[1]), "=r"(x[2]), "=r"(x[3])
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ __forceinline__ uint32_t word(bf16 a, bf16 b) {
    return uint32_t(__bfloat16_as_ushort(a)) | uint32_t(__bfloat16_as_ushort(b)) << 16;
}
__device__ __forceinline__ uint32_t word(f16 a, f16 b) {
    return uint32_t(__half_as_ushort(a)) | uint32_t(__half_as_ushort(b)) << 16;
}

__device__ __forceinline__ void multiply(InBf16, float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    SINCE_80_IN_ORDER("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void multiply(InF16, float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    SINCE_80_IN_ORDER("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
__device__ __forceinline__ void multiply_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    SINCE_80_IN_ORDER("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ uint32_t tf32(float x) {
    uint32_t y = 0;
    SINCE_80("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
    return y;
}

// x in tf32, and what is left of it in tf32.
template <int N> __device__ __forceinline__ void split(const float *x, uint32_t (&high)[N], uint32_t (&low)[N]) {
#pragma unroll
    for (int i = 0; i < N; i++) {
        high[i] = tf32(x[i]);
        low[i] = tf32(x[i] - __uint_as_float(high[i]));
    }
}

// Blocks of 16 x 16: `left` is a factor of 16 rows, `right` one of 16 columns, as two blocks of 8.
template <class M> struct Blocks {
    typedef typename M::type T;
    struct Left { uint32_t x[4]; };
    struct Right { uint32_t x[4]; };

    // Rows `row..`, columns `column..` of a tile.
    template <int WIDTH> static __device__ __forceinline__ void left(Left &a, const T *tile, int row, int column) {
        const int lane = threadIdx.x % 32;
        matrices(a.x, tile + (row + lane % 16) * STRIDE<T, WIDTH> + column + lane / 16 * 8);
    }
    // Columns of the product are rows of the tile, its depth the tile's columns.
    template <int WIDTH> static __device__ __forceinline__ void right_rows(Right &b, const T *tile, int row, int column) {
        const int lane = threadIdx.x % 32;
        matrices(b.x, tile + (row + lane / 16 * 8 + lane % 8) * STRIDE<T, WIDTH> + column + lane / 8 % 2 * 8);
    }
    // Columns of the product are columns of the tile, its depth the tile's rows.
    template <int WIDTH> static __device__ __forceinline__ void right_columns(Right &b, const T *tile, int row, int column) {
        const int lane = threadIdx.x % 32;
        matrices_transposed(b.x, tile + (row + lane / 8 % 2 * 8 + lane % 8) * STRIDE<T, WIDTH> + column + lane / 16 * 8);
    }
    // Sums of two blocks of 8 columns as a factor, for `right_columns`.
    static __device__ __forceinline__ void left_of(Left &a, const float (&c)[2][4]) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            Pair<T> upper = narrow2<T>(c[half][0], c[half][1]), lower = narrow2<T>(c[half][2], c[half][3]);
            a.x[2 * half] = word(upper.a, upper.b);
            a.x[2 * half + 1] = word(lower.a, lower.b);
        }
    }
    static __device__ __forceinline__ void multiply_add(float (&c)[2][4], const Left &a, const Right &b) {
        multiply(M(), c[0], a.x, b.x[0], b.x[1]);
        multiply(M(), c[1], a.x, b.x[2], b.x[3]);
    }
};

// The same of f32 elements: a depth of 16 is two of 8, in each place i and i + 4 of a thread. Where the left factor is a sum, whose thread has
// columns 2 i and 2 i + 1, these are taken for places i and i + 4, on both sides: the order in which a product adds up.
template <class M> struct BlocksF32 {
    typedef float T;
    struct Left { float x[8]; };
    struct Right { float x[8]; };

    template <int WIDTH> static __device__ __forceinline__ void left(Left &a, const T *tile, int row, int column) {
        const int lane = threadIdx.x % 32;
        const T *from = tile + (row + lane / 4) * STRIDE<T, WIDTH> + column + lane % 4;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            a.x[4 * half] = from[8 * half];
            a.x[4 * half + 1] = from[8 * STRIDE<T, WIDTH> + 8 * half];
            a.x[4 * half + 2] = from[8 * half + 4];
            a.x[4 * half + 3] = from[8 * STRIDE<T, WIDTH> + 8 * half + 4];
        }
    }
    template <int WIDTH> static __device__ __forceinline__ void right_rows(Right &b, const T *tile, int row, int column) {
        const int lane = threadIdx.x % 32;
        const T *from = tile + (row + lane / 4) * STRIDE<T, WIDTH> + column + lane % 4;
#pragma unroll
        for (int block = 0; block < 2; block++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                b.x[4 * block + 2 * half] = from[8 * block * STRIDE<T, WIDTH> + 8 * half];
                b.x[4 * block + 2 * half + 1] = from[8 * block * STRIDE<T, WIDTH> + 8 * half + 4];
            }
    }
    template <int WIDTH> static __device__ __forceinline__ void right_columns(Right &b, const T *tile, int row, int column) {
        const int lane = threadIdx.x % 32;
        const T *from = tile + (row + lane % 4 * 2) * STRIDE<T, WIDTH> + column + lane / 4;
#pragma unroll
        for (int block = 0; block < 2; block++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                b.x[4 * block + 2 * half] = from[8 * half * STRIDE<T, WIDTH> + 8 * block];
                b.x[4 * block + 2 * half + 1] = from[(8 * half + 1) * STRIDE<T, WIDTH> + 8 * block];
            }
    }
    static __device__ __forceinline__ void left_of(Left &a, const float (&c)[2][4]) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            a.x[4 * half] = c[half][0];
            a.x[4 * half + 1] = c[half][2];
            a.x[4 * half + 2] = c[half][1];
            a.x[4 * half + 3] = c[half][3];
        }
    }
    static __device__ __forceinline__ void one(InTf32, float (&c)[4], const float *a, const float *b) {
        uint32_t left[4] = {tf32(a[0]), tf32(a[1]), tf32(a[2]), tf32(a[3])}, right[2] = {tf32(b[0]), tf32(b[1])};
        multiply_tf32(c, left, right);
    }
    static __device__ __forceinline__ void one(InF32, float (&c)[4], const float *a, const float *b) {
        uint32_t left[4], left_rest[4], right[2], right_rest[2];
        split(a, left, left_rest);
        split(b, right, right_rest);
        multiply_tf32(c, left_rest, right);
        multiply_tf32(c, left, right_rest);
        multiply_tf32(c, left, right);
    }
    static __device__ __forceinline__ void multiply_add(float (&c)[2][4], const Left &a, const Right &b) {
#pragma unroll
        for (int block = 0; block < 2; block++)
#pragma unroll
            for (int half = 0; half < 2; half++) one(M(), c[block], a.x + 4 * half, b.x + 4 * block + 2 * half);
    }
};
template <> struct Blocks<InTf32> : BlocksF32<InTf32> {};
template <> struct Blocks<InF32> : BlocksF32<InF32> {};
