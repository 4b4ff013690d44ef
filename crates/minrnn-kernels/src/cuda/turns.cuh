// Launches that may begin before the one in front of them has ended (`Call::early`).
//
// Why everything is as it would be one launch after the other, by the PTX ISA's words on griddepcontrol and the CUDA programming guide's on
// programmatic dependent launch:
//
// 1. `.wait` returns once the launch in front has completed as a whole and all its memory operations are performed and visible. It is the first
//    thing that each thread does, before any load or store to global memory: so whatever the one in front wrote is there, and nothing that it
//    still reads is overwritten.
// 2. So it is for all launches before that one: a block of it ends only behind its own wait, so it completes after the one in front of
//    it has, and so on back. This does not lean on when a launch lets the next one begin, so a launch of a library's that
//    waits late is no exception.
// 3. `.launch_dependents` comes behind the wait: the next launch begins once all blocks of this one have issued it or ended, and then all of
//    them have begun. Launches thus begin in order, and at most two of them are on the GPU. A recurrence's blocks, which wait for
//    each other, are not kept out for good: blocks of the launch behind come only when all of its own have their places, and blocks of the
//    launch in front, which may have those places yet, end without it.
// 4. What is no kernel (a copy, a fill, an event, the end of a stream's work or of a graph) is ordered by completion of what stands before it, and
//    completes itself before a kernel behind it begins: the attribute speaks of two kernels, one right behind the other. A captured
//    graph keeps that as an edge from the kernel's programmatic port, and takes full edges for all others. A launch without the attribute
//    begins when the one in front has completed; one without griddepcontrol lets the next begin when its blocks have ended.
#pragma once

// The first thing that such a kernel does; before it, only what no other launch can see (parameters, shared memory, barriers).
__device__ __forceinline__ void take_turns() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
