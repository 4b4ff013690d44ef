// How the factor on the loss moves behind a step, and whether the step is left out. See mod.rs.

#include "cuda/elements.cuh"

// Words of the block; those of the latch as in adamw.cu.
constexpr int SCALE = 0, GOOD = 1, INTERVAL = 2, USED = 3, LEFT = 4, BEHIND = 5;
constexpr uint32_t GRADIENT = 2, LEFT_OUT = 4;
constexpr float LOWEST = 1.0f, HIGHEST = 1099511627776.0f;
// Numbers of the optimizer, from the control block's fourth word on.
constexpr int NUMBERS = 12;

// One thread, behind the norm. Where a gradient of this step is not finite and the factor can be smaller, the latch says that the
// step is left out; else the factor has one step more. A step behind others that were left out, of which the host does not know
// yet, has the number of an earlier update: numbers [rows, NUMBERS] are those of as many updates before.
extern "C" __global__ void loss_scale_step(float *block, uint32_t *latch, uint32_t *control, const uint32_t *numbers, int rows) {
    const uint32_t what = latch[3];
    const float scale = block[SCALE], interval = block[INTERVAL];
    if (what != 0) {
        const bool own = latch[0] == control[2] && latch[1] == control[3];
        if (what != GRADIENT || !own || !(interval > 0) || !(scale > LOWEST)) return;
        latch[3] = LEFT_OUT;
        block[SCALE] = 0.5f * scale;
        block[GOOD] = 0;
        block[USED] = scale;
        block[LEFT] = 1;
        block[BEHIND] += 1;
        return;
    }
    block[USED] = scale;
    block[LEFT] = 0;
    const int row = min(int(block[BEHIND]), rows - 1);
    if (row > 0)
        for (int i = 0; i < NUMBERS; i++) control[4 + i] = numbers[row * NUMBERS + i];
    if (!(interval > 0)) return;
    const float good = block[GOOD] + 1;
    block[GOOD] = good < interval ? good : 0;
    if (!(good < interval)) block[SCALE] = fminf(2 * scale, HIGHEST);
}
