// The kernels of one cell for every element type; see kernels.cuh for what must be defined.
#include "simple.cuh"

#define ELEM f32
#define TYPE float
#define ELEM_BYTES 4
#include "kernels.cuh"
#undef ELEM
#undef TYPE
#undef ELEM_BYTES
#define ELEM_BYTES 2
#define ELEM bf16
#define TYPE rec::bf16
#include "kernels.cuh"
#undef ELEM
#undef TYPE
#define ELEM f16
#define TYPE rec::f16
#include "kernels.cuh"
#undef ELEM
#undef TYPE
#undef ELEM_BYTES
#undef CELL
#undef KIND
