/** All kernels, as one unit. */
#include "gemm.c"
#include "conv.c"
#include "winograd.c"
#include "depthwise.c"
#include "pool.c"
#include "elementwise.c"
#include "batch_norm.c"
#include "optimizers.c"
