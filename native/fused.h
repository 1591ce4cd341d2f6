/* What lies between products: loss, norms, activations, softmax, rotary positions, AdamW.
 * Stands between fused.c, which cuts rows among threads, and a file of kernels for each ISA; no arithmetic.
 * Shapes: R rows, D columns, H heads of K, E vocabulary; all arrays are float32, contiguous, whole. */
#ifndef CHRONOS_FUSED_H
#define CHRONOS_FUSED_H

#include "chronos_native.h"

/* What a kernel is given; each uses some of it. Inputs are read only, and no two arrays overlap, except that
 * `rows` are changed in place. */
typedef struct {
    const float *x, *dy, *gain, *shift, *cosines, *sines, *p, *delta, *g;
    const int64_t *ids; /* targets, or how many keys each query sees */
    float *y, *dx, *dgain, *dshift, *mean, *rstd, *rows, *lse, *losses, *w, *m, *v;
    size_t d, heads, some, queries; /* columns of a row or a head; heads; how many of them change; T */
    int far;                        /* the result is larger than the caches */
    float eps, scale;
    struct {
        float lr, b1, b2, c1, c2, eps, shrink, fix, clip; /* c = 1 - b, lr and fix with the bias taken out */
    } adam;
} fused;

/* Computes the elements, or rows, begin <= i < end; what an element becomes depends on neither. */
typedef void fused_kernel(const fused *a, size_t begin, size_t end);

/* The order of every ISA's table. Those up to SILU map x to y, each element alone. */
enum {
    FUSED_EXP, FUSED_TANH, FUSED_SIGMOID, FUSED_SILU, FUSED_GELU, FUSED_GELU_BACKWARD,
    FUSED_SWIGLU, FUSED_SWIGLU_BACKWARD, FUSED_ROTARY, FUSED_ADAMW,
    FUSED_RMS_NORM, FUSED_RMS_NORM_BACKWARD, FUSED_LAYER_NORM, FUSED_LAYER_NORM_BACKWARD,
    FUSED_SOFTMAX, FUSED_SOFTMAX_AGAIN, FUSED_SOFTMAX_BACKWARD, FUSED_CROSS_ENTROPY,
    FUSED_SOFTMAX_SLOPES,
    FUSED_KERNELS
};

extern fused_kernel *const fused_portable[FUSED_KERNELS];
#ifdef HAVE_AVX2
extern fused_kernel *const fused_avx2[FUSED_KERNELS], *const fused_avx512[FUSED_KERNELS];
#endif
#ifdef HAVE_NEON
extern fused_kernel *const fused_neon[FUSED_KERNELS];
#endif

fused_kernel *fused_chosen(int which); /* fused.c: that of the chosen ISA */

/* fused.c: what Python calls. Each returns CHRONOS_OK or an error, and then has written nothing.
 *   map:                 x (n,) -> y (n,); `which` is one of FUSED_EXP .. FUSED_GELU
 *   gelu_backward:       dy, x (n,) -> dx (n,)
 *   swiglu:              x (R, 2D) -> y (R, D)              backward: dy (R, D), x -> dx (R, 2D)
 *   rotary:              x (R, H, K), cosines and sines (R, K/2) -> y; the first `some` heads turn
 *   adamw:               g (n,) read, w, m, v (n,) changed; constants: the nine of `adam` above
 *   rms_norm:            x (R, H, K), gain (some, K) -> y, rstd (R, some)
 *   rms_norm_backward:   dy, x (R, H, K), gain, rstd -> dx, dgain (some, K)
 *   layer_norm:          x (R, D), gain, shift (D,) or NULL -> y, mean (R,), rstd (R,)
 *   layer_norm_backward: dy, x, gain, mean, rstd -> dx, dgain, dshift
 *   softmax:             s (B, H, T, S) changed, visible (B, T) in 0..S -> lse (B, H, T)
 *   softmax_again:       s changed, lse, visible read          softmax_backward: p read, dp (R, S) changed
 *   cross_entropy:       logits (R, E) changed, targets (R,) below E -> losses (R,) */
int chronos_map(int which, const float *x, float *y, size_t n);
int chronos_gelu_backward(const float *dy, const float *x, float *dx, size_t n);
int chronos_swiglu(const float *x, float *y, size_t rows, size_t d);
int chronos_swiglu_backward(const float *dy, const float *x, float *dx, size_t rows, size_t d);
int chronos_rotary(const float *x, const float *cosines, const float *sines, float *y, size_t rows,
                   size_t heads, size_t some, size_t k);
int chronos_adamw(float *w, const float *g, float *m, float *v, size_t n, const float *constants);
int chronos_rms_norm(const float *x, const float *gain, float eps, float *y, float *rstd, size_t rows,
                     size_t heads, size_t some, size_t k);
int chronos_rms_norm_backward(const float *dy, const float *x, const float *gain, const float *rstd,
                              float *dx, float *dgain, size_t rows, size_t heads, size_t some, size_t k);
int chronos_layer_norm(const float *x, const float *gain, const float *shift, float eps, float *y,
                       float *mean, float *rstd, size_t rows, size_t d);
int chronos_layer_norm_backward(const float *dy, const float *x, const float *gain, const float *mean,
                                const float *rstd, float *dx, float *dgain, float *dshift, size_t rows,
                                size_t d);
int chronos_softmax(float *s, const int64_t *visible, float scale, float *lse, size_t batch, size_t heads,
                    size_t queries, size_t keys);
int chronos_softmax_again(float *s, const float *lse, const int64_t *visible, float scale, size_t batch,
                          size_t heads, size_t queries, size_t keys);
int chronos_softmax_backward(const float *p, float *dp, const float *delta, float scale, size_t rows,
                             size_t keys);
int chronos_cross_entropy(float *logits, const int64_t *targets, float scale, float *losses, size_t rows,
                          size_t e);

#endif
