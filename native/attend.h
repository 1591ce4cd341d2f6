/* Between Python and attend.c: attention over packed heads, forward and backward, each in one call.
 * No kernels of its own: products are gemm.h's, softmax is fused.h's.
 * Shapes: B rows of T tokens, H heads of K in groups that share one of G key heads; x holds queries, keys and
 * values of a token side by side, (B, T, (H + 2G)K); all arrays are float32, contiguous, whole. */
#ifndef CHRONOS_ATTEND_H
#define CHRONOS_ATTEND_H

#include "chronos_native.h"

/* kind: GEMM_F32 or GEMM_BF16, how factors are rounded. visible (B, T): keys that each query sees, from the
 * first on, in 0..T. Each returns CHRONOS_OK, CHRONOS_BAD_INDEX or CHRONOS_NO_MEMORY.
 *   attend:          x, visible -> o (B, T, HK), lse (B, H, T)
 *   attend_backward: x, visible, lse, grad (B, T, HK) -> dx like x */
int chronos_attend(int kind, const float *x, const int64_t *visible, float scale, float *o, float *lse,
                   size_t batch, size_t tokens, size_t heads, size_t key_heads, size_t k);
int chronos_attend_backward(int kind, const float *x, const int64_t *visible, float scale, const float *lse,
                            const float *grad, float *dx, size_t batch, size_t tokens, size_t heads,
                            size_t key_heads, size_t k);

#endif
