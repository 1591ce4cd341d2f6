/* What Python calls of fused.h: it checks indices and cuts elements or rows among threads.
 * No arithmetic but the sum of gains' gradients: the kernels are in a file for each ISA. Results do not depend
 * on the number of threads, because the pieces into which rows are cut do not. */
#include "fused.h"

#include <stdlib.h>

enum {
    PIECE = 32 << 10, /* elements worth handing out: some ten microseconds */
    FAR = 4 << 20,    /* elements of a result that no cache will hold until it is read */
    LEAST = 8,        /* rows, however long: a kernel may ask for the next one while it works on one */
    SUMS = 64,        /* partial sums of a gain's gradient, at most */
    SUM_ROWS = 64,    /* rows in each, at least */
};

typedef struct {
    fused_kernel *kernel;
    fused args;
    size_t n, piece, gains; /* gains: floats of dgain that each piece has for itself, or 0 */
} work;

fused_kernel *fused_chosen(int which) {
    const char *isa = chronos_isa_name();
#ifdef HAVE_AVX2
    if (strncmp(isa, "avx512", 6) == 0)
        return fused_avx512[which];
    if (strcmp(isa, "avx2") == 0)
        return fused_avx2[which];
#endif
#ifdef HAVE_NEON
    if (strncmp(isa, "neon", 4) == 0)
        return fused_neon[which];
#endif
    (void)isa;
    return fused_portable[which];
}

static void do_piece(void *context, size_t i) {
    const work *w = context;
    fused args = w->args;
    size_t begin = i * w->piece, end = w->n - begin < w->piece ? w->n : begin + w->piece;
    if (w->gains) {
        args.dgain += 2 * i * w->gains;
        args.dshift = args.dgain + w->gains;
    }
    w->kernel(&args, begin, end);
}

/* n elements, or rows of `width` elements. */
static int each(int which, const fused *args, size_t n, size_t width) {
    work w = {fused_chosen(which), *args, n, PIECE, 0};
    if (width > 1)
        w.piece = width < PIECE / LEAST ? PIECE / width : LEAST;
    if (n)
        pool_run(do_piece, &w, (n + w.piece - 1) / w.piece);
    return CHRONOS_OK;
}

/* Rows that all add to dgain (size,) and dshift (size,) or NULL: a piece has sums of its own, and they are
 * added in order. */
static int with_gains(int which, const fused *args, size_t rows, size_t size) {
    work w = {fused_chosen(which), *args, rows, (rows + SUMS - 1) / SUMS, size};
    w.piece = w.piece < SUM_ROWS ? SUM_ROWS : w.piece;
    size_t pieces = (rows + w.piece - 1) / w.piece;
    float *sums = calloc(2 * pieces * size + 1, sizeof *sums);
    if (!sums)
        return CHRONOS_NO_MEMORY;
    w.args.dgain = sums;
    pool_run(do_piece, &w, pieces);
    memset(args->dgain, 0, size * sizeof *sums);
    if (args->dshift)
        memset(args->dshift, 0, size * sizeof *sums);
    for (size_t i = 0; i < pieces; i++)
        for (size_t j = 0; j < size; j++) {
            args->dgain[j] += sums[2 * i * size + j];
            if (args->dshift)
                args->dshift[j] += sums[(2 * i + 1) * size + j];
        }
    free(sums);
    return CHRONOS_OK;
}

static int within(const int64_t *ids, size_t n, int64_t least, int64_t most) {
    for (size_t i = 0; i < n; i++)
        if (ids[i] < least || ids[i] > most)
            return 0;
    return 1;
}

int chronos_map(int which, const float *x, float *y, size_t n) {
    if (which < FUSED_EXP || which > FUSED_GELU)
        return CHRONOS_BAD_TYPE;
    fused a = {.x = x, .y = y};
    return each(which, &a, n, 1);
}

int chronos_gelu_backward(const float *dy, const float *x, float *dx, size_t n) {
    fused a = {.dy = dy, .x = x, .dx = dx};
    return each(FUSED_GELU_BACKWARD, &a, n, 1);
}

int chronos_swiglu(const float *x, float *y, size_t rows, size_t d) {
    fused a = {.x = x, .y = y, .d = d};
    return each(FUSED_SWIGLU, &a, rows, d);
}

int chronos_swiglu_backward(const float *dy, const float *x, float *dx, size_t rows, size_t d) {
    fused a = {.dy = dy, .x = x, .dx = dx, .d = d};
    return each(FUSED_SWIGLU_BACKWARD, &a, rows, d);
}

int chronos_rotary(const float *x, const float *cosines, const float *sines, float *y, size_t rows,
                   size_t heads, size_t some, size_t k) {
    fused a = {.x = x, .cosines = cosines, .sines = sines, .y = y, .d = k, .heads = heads, .some = some};
    a.far = rows * heads * k >= FAR;
    return each(FUSED_ROTARY, &a, rows, heads * k);
}

int chronos_adamw(float *w, const float *g, float *m, float *v, size_t n, const float *constants) {
    fused a = {.w = w, .g = g, .m = m, .v = v};
    memcpy(&a.adam, constants, sizeof a.adam);
    return each(FUSED_ADAMW, &a, n, 1);
}

int chronos_rms_norm(const float *x, const float *gain, float eps, float *y, float *rstd, size_t rows,
                     size_t heads, size_t some, size_t k) {
    fused a = {.x = x, .gain = gain, .eps = eps, .y = y, .rstd = rstd, .d = k, .heads = heads, .some = some};
    return each(FUSED_RMS_NORM, &a, rows, heads * k);
}

int chronos_rms_norm_backward(const float *dy, const float *x, const float *gain, const float *rstd,
                              float *dx, float *dgain, size_t rows, size_t heads, size_t some, size_t k) {
    fused a = {.dy = dy, .x = x, .gain = gain, .dx = dx, .dgain = dgain, .d = k, .heads = heads};
    a.some = some;
    a.rstd = (float *)rstd; /* only read */
    return with_gains(FUSED_RMS_NORM_BACKWARD, &a, rows, some * k);
}

int chronos_layer_norm(const float *x, const float *gain, const float *shift, float eps, float *y,
                       float *mean, float *rstd, size_t rows, size_t d) {
    fused a = {.x = x, .gain = gain, .shift = shift, .eps = eps, .y = y, .mean = mean, .rstd = rstd, .d = d};
    return each(FUSED_LAYER_NORM, &a, rows, d);
}

int chronos_layer_norm_backward(const float *dy, const float *x, const float *gain, const float *mean,
                                const float *rstd, float *dx, float *dgain, float *dshift, size_t rows,
                                size_t d) {
    fused a = {.dy = dy, .x = x, .gain = gain, .dx = dx, .dgain = dgain, .dshift = dshift, .d = d};
    a.mean = (float *)mean, a.rstd = (float *)rstd; /* only read */
    return with_gains(FUSED_LAYER_NORM_BACKWARD, &a, rows, d);
}

int chronos_softmax(float *s, const int64_t *visible, float scale, float *lse, size_t batch, size_t heads,
                    size_t queries, size_t keys) {
    if (!within(visible, batch * queries, 0, (int64_t)keys))
        return CHRONOS_BAD_INDEX;
    fused a = {.rows = s, .ids = visible, .lse = lse, .scale = scale, .d = keys, .heads = heads};
    a.queries = queries;
    return each(FUSED_SOFTMAX, &a, batch * heads * queries, keys);
}

int chronos_softmax_again(float *s, const float *lse, const int64_t *visible, float scale, size_t batch,
                          size_t heads, size_t queries, size_t keys) {
    if (!within(visible, batch * queries, 0, (int64_t)keys))
        return CHRONOS_BAD_INDEX;
    fused a = {.rows = s, .ids = visible, .scale = scale, .d = keys, .heads = heads, .queries = queries};
    a.lse = (float *)lse; /* only read */
    return each(FUSED_SOFTMAX_AGAIN, &a, batch * heads * queries, keys);
}

int chronos_softmax_backward(const float *p, float *dp, const float *delta, float scale, size_t rows,
                             size_t keys) {
    fused a = {.p = p, .rows = dp, .delta = delta, .scale = scale, .d = keys};
    return each(FUSED_SOFTMAX_BACKWARD, &a, rows, keys);
}

int chronos_cross_entropy(float *logits, const int64_t *targets, float scale, float *losses, size_t rows,
                          size_t e) {
    if (!within(targets, rows, INT64_MIN, (int64_t)e - 1))
        return CHRONOS_BAD_INDEX;
    fused a = {.rows = logits, .ids = targets, .losses = losses, .scale = scale, .d = e};
    return each(FUSED_CROSS_ENTROPY, &a, rows, e);
}
