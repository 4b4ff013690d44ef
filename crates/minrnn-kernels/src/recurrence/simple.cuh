// One thread a channel, one step after the other: the plain kernel that tile.cuh is measured against.
#pragma once
#include "tile.cuh"

namespace rec {

template <class Cell, class E>
__device__ __forceinline__ void forward_simple(const void *x0, const void *x1, const float *h0, E *h, int B, int T,
                                               int D) {
  const long long q = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (q >= (long long)B * D) return;
  const long long b = q / D, c = q % D;
  Place<Cell, E> x(x0, x1, D);
  const long long stride = x.stride(D);
  x.move(b * T * stride + c);
  E *out = h + b * T * D + c;
  float state = h0 ? h0[q] : 0.f;
  for (int t = 0; t < T; t++) {
    Row<Cell, E, 1> row;
    x.template load<Cell::PARTS>(row, 0, D);
    float parts[3], a, gain;
    row.get(0, parts);
    Cell::gates(parts, a, gain);
    state = fmaf(a, state, gain);
    *out = narrow<E>(state);
    x.move(stride);
    out += D;
  }
}

template <class Cell, class E>
__device__ __forceinline__ void backward_simple(const void *x0, const void *x1, const float *h0, const E *h,
                                                const E *dh, void *dx0, void *dx1, float *dh0, int B, int T, int D) {
  const long long q = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (q >= (long long)B * D) return;
  const long long b = q / D, c = q % D;
  Place<Cell, E> x(x0, x1, D), dx(dx0, dx1, D);
  const long long stride = x.stride(D);
  float u = 0.f;
  for (int t = T - 1; t >= 0; t--) {
    const long long row = b * T + t, at = row * stride + c;
    Row<Cell, E, 1> in, out;
    in.zero();
    x.template load<Cell::READ_BACK>(in, at, D);
    const float prev = t > 0 ? wide(h[(row - 1) * D + c]) : h0 ? h0[q] : 0.f;
    float parts[3], a, f[3];
    in.get(0, parts);
    Cell::slopes(parts, prev, a, f);
    const float d = wide(dh[row * D + c]) + u;
    float part[1] = {d * f[0]};
    out.first.put(part);
#pragma unroll
    for (int p = 1; p < Cell::PARTS; p++) {
      part[0] = d * f[p];
      out.rest[p - 1].put(part);
    }
    dx.store(out, at, D);
    u = a * d;
  }
  if (dh0) dh0[q] = u;
}

} // namespace rec
