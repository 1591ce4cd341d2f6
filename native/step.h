/* The header of one decode step: a list of steps, each a kernel over arrays that stay where they are.
 * A plan is built once in Python (steps.py), which checks every shape; C runs it for one token after another.
 * All arrays are float32 and whole unless it says otherwise, and belong to Python. */
#ifndef CHRONOS_STEP_H
#define CHRONOS_STEP_H

#include "chronos_native.h"

/* What a step does. D is a width, H heads, G key heads, K and V widths of a head, C room for tokens. */
enum {
    STEP_EMBED,      /* y (D,) = row `token` of w, float32 or blocks, + row `at` of v if there is one */
    STEP_EMBED_PACKED, /* the same from panels; z has room for the blocks of a row */
    STEP_RMS_NORM,   /* rows of D: y = x / sqrt(mean x^2 + f) * v; v moves on by k a row, 0 or D */
    STEP_LAYER_NORM, /* y (D,) = (x - mean) / sqrt(var + f) * v + u; u may be NULL */
    STEP_PRODUCT,    /* y (items,) = w (items, D) x (+ v) (+ y if `add`); w float32 */
    STEP_BLOCKS,     /* y (items,) = w x, w (items, D) in blocks of `type` */
    STEP_PACKED,     /* the same, w in panels of `type` (products.h) */
    STEP_ADD,        /* y (D,) += x (+ v) */
    STEP_TURNS,      /* y, u (D,) = cos, sin of at * w, w float64 */
    STEP_ROTARY,     /* in y (items, K) the pairs (i, i + K/2) turn by cos v and sin u (K/2,) */
    STEP_STORE,      /* row `at` of y (C, D) = x (D,) */
    STEP_ATTEND,     /* y = softmax(x k^T f) v: x, y (H, K), keys v, values u (C, G * K), scores z (H, C) */
    STEP_SWIGLU,     /* y (D,) = silu(x) * x', x (2D,) */
    STEP_GELU,       /* y (D,) = gelu(x), tanh form */
    STEP_RELU2,      /* y (D,) = max(x, 0)^2 */
    STEP_CONV,       /* y (D,) = silu of the convolution w (C, D) over u (C - 1, D) and x; u moves on */
    STEP_DECAY,      /* y (H, K) = e^(-e^v softplus(x + u)): x, u (H, K), v (H,) */
    STEP_DELTA,      /* x: q, k (H, K), v (H, D); decay v (H, K), strength f sigmoid(z); u (H, D, K) -> y */
    STEP_GATED,      /* y (H, D) = sigmoid(v) * x / sqrt(mean x^2 + f) * u (D,) */
    STEP_PICK,       /* picks: the k best t by z_t = sum_h v_h f relu(x_h . w_t): x (H, D), w (C, D) */
    STEP_KINDS
};

/* Items are what may be divided among threads: rows, or heads; `grain` of them are worth a task. */
typedef struct {
    int32_t kind, type, add;
    uint32_t items, grain;
    size_t d, k, heads, groups, room; /* D, K, H, G, C */
    float f;
    const void *w;
    const float *x;
    float *y, *v, *u, *z;
    int32_t *picks; /* (k,) of STEP_PICK; STEP_ATTEND looks at these D alone once there are more tokens */
} chronos_step;

/* Runs n steps for the token that stands at position `at`; the caller has checked both. 0, no memory, or a bad index
 * where picks are not of places in the cache. */
int chronos_plan_run(const chronos_step *steps, size_t n, int64_t token, int64_t at);

typedef void step_kernel(const chronos_step *s, size_t begin, size_t end, int64_t at);

/* By kind; NULL for those that plan.c does itself. */
extern step_kernel *const step_portable[STEP_KINDS];
#ifdef HAVE_AVX2
extern step_kernel *const step_avx2[STEP_KINDS], *const step_avx512[STEP_KINDS];
#elif defined(HAVE_NEON)
extern step_kernel *const step_neon[STEP_KINDS];
#endif

#endif
