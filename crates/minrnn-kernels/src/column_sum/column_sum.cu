// Sums over rows, in two steps whose order depends on the sizes only.

#include "cuda/elements.cuh"
#include "cuda/turns.cuh"

// partials [gridDim.y, width]: each block sums rows of a stride, first per thread, then over blockDim.y.
template <class C, int VEC> __device__ __forceinline__ void column_sum(const C *x, float *partials, i64 rows, int width) {
    DYNAMIC_SHARED(float, shared);
    constexpr int AHEAD = 4;
    const int c = (blockIdx.x * blockDim.x + threadIdx.x) * VEC;
    const i64 stride = i64(gridDim.y) * blockDim.y;
    float sum[VEC];
#pragma unroll
    for (int j = 0; j < VEC; j++) sum[j] = 0;
    if (c < width) {
        i64 row = i64(blockIdx.y) * blockDim.y + threadIdx.y;
        for (; row + (AHEAD - 1) * stride < rows; row += AHEAD * stride) {
            Pack<C, VEC> packs[AHEAD];
#pragma unroll
            for (int i = 0; i < AHEAD; i++) packs[i].fetch(x + (row + i * stride) * width + c);
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                float values[VEC];
                packs[i].spread(values);
#pragma unroll
                for (int j = 0; j < VEC; j++) sum[j] += values[j];
            }
        }
        for (; row < rows; row += stride) {
            float values[VEC];
            load(values, x + row * width + c);
#pragma unroll
            for (int j = 0; j < VEC; j++) sum[j] += values[j];
        }
    }
    float *mine = shared + (threadIdx.y * blockDim.x + threadIdx.x) * VEC;
#pragma unroll
    for (int j = 0; j < VEC; j++) mine[j] = sum[j];
    __syncthreads();
    if (threadIdx.y != 0 || c >= width) return;
    for (int y = 1; y < blockDim.y; y++)
#pragma unroll
        for (int j = 0; j < VEC; j++) sum[j] += mine[y * blockDim.x * VEC + j];
#pragma unroll
    for (int j = 0; j < VEC; j++) partials[i64(blockIdx.y) * width + c + j] = sum[j];
}

#define COLUMN_SUM(C, VEC)                                                             \
    extern "C" __global__ void __launch_bounds__(256)                                  \
        column_sum_##C##_v##VEC(const C *x, float *partials, i64 rows, int width) {    \
        take_turns();                                                                  \
        column_sum<C, VEC>(x, partials, rows, width);                                  \
    }

COLUMN_SUM(f32, 4)
COLUMN_SUM(f32, 1)
COLUMN_SUM(bf16, 8)
COLUMN_SUM(bf16, 1)
COLUMN_SUM(f16, 8)
COLUMN_SUM(f16, 1)

// The second step of every such sum: partials [rows, width] to `first` [split] and, behind it, `second` [width - split]
// (null: left out).
extern "C" __global__ void __launch_bounds__(1024)
    column_fold(const float *partials, float *first, float *second, int rows, i64 width, i64 split, int accumulate) {
    __shared__ float shared[1024];
    take_turns();
    const i64 c = i64(blockIdx.x) * blockDim.x + threadIdx.x;
    float sum = 0;
    if (c < width) {
#pragma unroll 8
        for (int row = threadIdx.y; row < rows; row += blockDim.y) sum += partials[row * width + c];
    }
    shared[threadIdx.y * blockDim.x + threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y != 0 || c >= width) return;
    for (int y = 1; y < blockDim.y; y++) sum += shared[y * blockDim.x + threadIdx.x];
    float *to = c < split ? first + c : second ? second + (c - split) : nullptr;
    if (to) *to = accumulate ? *to + sum : sum;
}
