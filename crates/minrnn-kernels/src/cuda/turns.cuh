// Launches that may begin before the one in front of them has ended (`Call::early`).
#pragma once

// The first thing that such a kernel does: waits for the launch in front of it, whose results are all there behind this, and lets the next
// one begin as soon as every block of this one is on its way. No memory that another launch writes or reads may be touched before it.
__device__ __forceinline__ void take_turns() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
