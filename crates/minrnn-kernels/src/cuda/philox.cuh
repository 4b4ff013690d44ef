// Dropout masks from Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), by
// (seed, step, site, index of the element): the same on every device.
#pragma once

#include <cstdint>

struct Dropout {
    uint32_t seed[2], step[2];
    uint32_t site, threshold;
    float keep;
    bool on;

    // `control` begins with the seed and the step, low words first; null: nothing is dropped.
    __device__ __forceinline__ Dropout(const uint32_t *control, uint32_t site, uint32_t threshold, float keep)
        : site(site), threshold(threshold), keep(keep), on(control != nullptr) {
        for (int i = 0; i < 2; i++) {
            seed[i] = on ? control[i] : 0;
            step[i] = on ? control[2 + i] : 0;
        }
    }

    __device__ __forceinline__ void bits(uint32_t (&out)[4], uint64_t block) const {
        // 40 bits count blocks of four elements, 24 bits sites.
        uint32_t c0 = uint32_t(block), c1 = uint32_t(block >> 32) | site << 8, c2 = step[0], c3 = step[1];
        uint32_t k0 = seed[0], k1 = seed[1];
#pragma unroll
        for (int round = 0; round < 10; round++) {
            uint64_t a = uint64_t(c0) * 0xD2511F53u, b = uint64_t(c2) * 0xCD9E8D57u;
            c0 = uint32_t(b >> 32) ^ c1 ^ k0;
            c2 = uint32_t(a >> 32) ^ c3 ^ k1;
            c1 = uint32_t(b);
            c3 = uint32_t(a);
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        out[0] = c0;
        out[1] = c1;
        out[2] = c2;
        out[3] = c3;
    }

    // x times the mask of VEC elements from `index` on; VEC is 4 and the index a multiple of 4, or VEC is 1.
    template <int VEC> __device__ __forceinline__ void apply(float (&x)[VEC], uint64_t index) const {
        static_assert(VEC == 4 || VEC == 1, "a block has four lanes");
        if (!on) return;
        uint32_t r[4];
        bits(r, index / 4);
        if (VEC == 4) {
#pragma unroll
            for (int i = 0; i < VEC; i++) x[i] = __fmul_rn(x[i], r[i] < threshold ? 0.0f : keep);
        } else {
            uint32_t lane = index % 4;
            uint32_t mine = lane < 2 ? (lane == 0 ? r[0] : r[1]) : (lane == 2 ? r[2] : r[3]);
            x[0] = __fmul_rn(x[0], mine < threshold ? 0.0f : keep);
        }
    }
};
