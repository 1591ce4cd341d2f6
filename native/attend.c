/* Attention over packed heads: a task is one key head of one row of the batch, with all queries that share it.
 * No kernels: products are gemm.h's, on a few rows of queries at a time, whose scores stay in cache; softmax is
 * fused.h's. Nothing of size T x T leaves a task, and backward computes the probabilities again (Dao et al.
 * 2022). An element's sums depend on its own head alone, so results do not depend on threads. */
#include "attend.h"
#include "fused.h"
#include "gemm.h"

#include <stdatomic.h>

enum { ROWS = 2 * A_WIDTH /* queries at a time */, LINE = 16 /* units of a cache line */ };

typedef struct {
    const gemm_kernels *kernels;
    fused_kernel *softmax; /* or softmax_again */
    int kind;
    const float *x, *grad;
    const int64_t *visible;
    float scale, *o, *lse, *dx;
    size_t tokens, heads, key_heads, k, width; /* width: of a token in x */
    atomic_int failed;
} attend;

/* Some queries: how many rows, how many keys any of them sees, and floats of a row of scores. */
typedef struct {
    size_t first, rows, reach, ld;
} cut;

static size_t up(size_t n, size_t by) { return (n + by - 1) / by * by; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t tile_rows(size_t rows) {
    size_t many = (rows + A_WIDTH - 1) / A_WIDTH;
    return (rows + many - 1) / many;
}

static cut cut_at(const attend *a, size_t row, size_t first) {
    cut c = {first, least(ROWS, a->tokens - first), 1, 0};
    const int64_t *visible = a->visible + row * a->tokens + first;
    for (size_t i = 0; i < c.rows; i++)
        if ((size_t)visible[i] > c.reach)
            c.reach = (size_t)visible[i];
    c.ld = up(c.reach, B_WIDTH);
    return c;
}

static void tiles(const attend *a, gemm_source source, size_t rows, size_t depth, uint32_t *to) {
    a->kernels->pack[a->kind](source, rows, depth, tile_rows(rows), 0, to);
}

static void panels(const attend *a, gemm_source source, size_t columns, size_t depth, uint32_t *to) {
    a->kernels->pack[a->kind](source, columns, depth, B_WIDTH, 1, to);
}

/* c (rows, cols) = or, with `add`, += tiles by panels, of which the first `depth` of `deep` are taken. */
static void multiply(const attend *a, const uint32_t *left, size_t rows, const uint32_t *right, size_t deep,
                     size_t depth, size_t cols, float *c, size_t ldc, int add) {
    gemm_part part = {.a = left, .rows = rows, .tile_rows = tile_rows(rows), .ldc = ldc, .add = add};
    size_t units = gemm_units(a->kind, deep);
    part.units = gemm_units(a->kind, depth), part.a_width = part.tile_rows;
    size_t at_once = part.units == units ? cols : B_WIDTH; /* else panels do not lie side by side */
    for (size_t j = 0; j < cols; j += at_once) {
        part.b = right + j * units;
        part.c = c + j;
        part.cols = least(at_once, cols - j);
        a->kernels->part[a->kind](&part);
    }
}

/* Of a task's room, in units: panels of n columns, and tiles of n rows, each from a cache line on. */
static size_t panels_room(const attend *a, size_t n, size_t depth) {
    return up(up(n, B_WIDTH) * gemm_units(a->kind, depth), LINE);
}
static size_t tiles_room(const attend *a, size_t n, size_t depth) {
    return up(n * gemm_units(a->kind, depth), LINE);
}

/* Scores of some queries (or of their gradients): c.rows by c.ld, from rows of `from` by panels of keys. */
static void scores(const attend *a, cut c, const float *from, size_t stride, const uint32_t *keys,
                   uint32_t *room, float *to) {
    tiles(a, (gemm_source){from, stride, 1}, c.rows, a->k, room);
    multiply(a, room, c.rows, keys, a->k, a->k, c.ld, to, c.ld, 0);
}

static void weigh(const attend *a, cut c, size_t row, size_t head, float *s) {
    fused args = {.rows = s, .d = c.ld, .heads = 1, .queries = c.rows, .scale = a->scale};
    args.ids = a->visible + row * a->tokens + c.first;
    args.lse = a->lse + (row * a->heads + head) * a->tokens + c.first;
    a->softmax(&args, 0, c.rows);
}

static void forward(void *context, size_t task) {
    attend *a = context;
    size_t row = task / a->key_heads, group = task % a->key_heads, shared = a->heads / a->key_heads;
    size_t T = a->tokens, K = a->k, F = a->width, out = a->heads * K, most = least(ROWS, T);
    size_t by_key = panels_room(a, T, K), by_feature = panels_room(a, K, T);
    size_t tile = tiles_room(a, most, T > K ? T : K);
    uint32_t *room = gemm_take_room((by_key + by_feature + tile + most * up(T, B_WIDTH)) * sizeof *room);
    if (!room) {
        atomic_store(&a->failed, 1);
        return;
    }
    uint32_t *keys = room, *values = keys + by_key, *left = values + by_feature;
    float *s = (float *)(left + tile);
    const float *x = a->x + row * T * F, *k = x + (a->heads + group) * K, *v = k + a->key_heads * K;
    panels(a, (gemm_source){k, F, 1}, T, K, keys);
    panels(a, (gemm_source){v, 1, F}, K, T, values);
    for (size_t h = group * shared; h < (group + 1) * shared; h++)
        for (size_t first = 0; first < T; first += ROWS) {
            cut c = cut_at(a, row, first);
            scores(a, c, x + first * F + h * K, F, keys, left, s);
            weigh(a, c, row, h, s);
            tiles(a, (gemm_source){s, c.ld, 1}, c.rows, c.reach, left);
            multiply(a, left, c.rows, values, T, c.reach, K, a->o + (row * T + first) * out + h * K, out, 0);
        }
    gemm_give_room(room);
}

/* What backward packs once for a task, and where it works. */
typedef struct {
    const float *x, *grad; /* the queries' own, and the gradients of what they read */
    float *dq, *dk, *dv;
    uint32_t *keys, *values, *key_features, *left, *right;
    float *p, *dp;
} back;

/* sum += sᵀ rows: s c.rows by c.ld, rows (c.rows, K) `stride` apart, sum (c.reach, K) in dx. */
static void add_turned(const attend *a, const back *b, cut c, const float *s, const float *rows,
                       size_t stride, float *sum) {
    tiles(a, (gemm_source){s, 1, c.ld}, c.reach, c.rows, b->left);
    panels(a, (gemm_source){rows, 1, stride}, a->k, c.rows, b->right);
    multiply(a, b->left, c.reach, b->right, c.rows, c.rows, a->k, sum, a->width, 1);
}

static void some_queries(const attend *a, const back *b, cut c, size_t row, size_t head) {
    size_t F = a->width, out = a->heads * a->k;
    const float *q = b->x + c.first * F + head * a->k, *g = b->grad + c.first * out + head * a->k;
    scores(a, c, q, F, b->keys, b->left, b->p);
    weigh(a, c, row, head, b->p);
    scores(a, c, g, out, b->values, b->left, b->dp);
    add_turned(a, b, c, b->p, g, out, b->dv);
    fused args = {.p = b->p, .rows = b->dp, .scale = a->scale, .d = c.ld};
    fused_chosen(FUSED_SOFTMAX_SLOPES)(&args, 0, c.rows);
    tiles(a, (gemm_source){b->dp, c.ld, 1}, c.rows, c.reach, b->left);
    multiply(a, b->left, c.rows, b->key_features, a->tokens, c.reach, a->k,
             b->dq + c.first * F + head * a->k, F, 0);
    add_turned(a, b, c, b->dp, q, F, b->dk);
}

static void backward(void *context, size_t task) {
    attend *a = context;
    size_t row = task / a->key_heads, group = task % a->key_heads, shared = a->heads / a->key_heads;
    size_t T = a->tokens, K = a->k, F = a->width, most = least(ROWS, T), ld = up(T, B_WIDTH);
    size_t by_key = panels_room(a, T, K), by_feature = panels_room(a, K, T);
    size_t left = tiles_room(a, most, T > K ? T : K), right = panels_room(a, K, most); /* left: turned, too */
    size_t units = 2 * by_key + by_feature + left + right + 2 * most * ld;
    uint32_t *room = gemm_take_room(units * sizeof *room);
    if (!room) {
        atomic_store(&a->failed, 1);
        return;
    }
    back b = {.x = a->x + row * T * F, .grad = a->grad + row * T * a->heads * K, .keys = room};
    b.values = b.keys + by_key;
    b.key_features = b.values + by_key;
    b.left = b.key_features + by_feature;
    b.right = b.left + left;
    b.p = (float *)(b.right + right);
    b.dp = b.p + most * ld;
    const float *k = b.x + (a->heads + group) * K, *v = k + a->key_heads * K;
    b.dq = a->dx + row * T * F;
    b.dk = b.dq + (a->heads + group) * K;
    b.dv = b.dk + a->key_heads * K;
    panels(a, (gemm_source){k, F, 1}, T, K, b.keys);
    panels(a, (gemm_source){v, F, 1}, T, K, b.values);
    panels(a, (gemm_source){k, 1, F}, K, T, b.key_features);
    for (size_t t = 0; t < T; t++) {
        memset(b.dk + t * F, 0, K * sizeof *b.dk);
        memset(b.dv + t * F, 0, K * sizeof *b.dv);
    }
    for (size_t h = group * shared; h < (group + 1) * shared; h++)
        for (size_t first = 0; first < T; first += ROWS)
            some_queries(a, &b, cut_at(a, row, first), row, h);
    gemm_give_room(room);
}

static int run(attend *a, pool_task *task, size_t batch) {
    for (size_t i = 0; i < batch * a->tokens; i++)
        if (a->visible[i] < 0 || (size_t)a->visible[i] > a->tokens)
            return CHRONOS_BAD_INDEX;
    size_t tasks = batch * a->key_heads;
    a->kernels = gemm_chosen();
    a->width = (a->heads + 2 * a->key_heads) * a->k;
    atomic_init(&a->failed, 0);
    if (a->tokens && a->k)
        pool_run(task, a, tasks);
    return atomic_load(&a->failed) ? CHRONOS_NO_MEMORY : CHRONOS_OK;
}

int chronos_attend(int kind, const float *x, const int64_t *visible, float scale, float *o, float *lse,
                   size_t batch, size_t tokens, size_t heads, size_t key_heads, size_t k) {
    attend a = {.kind = kind, .x = x, .visible = visible, .scale = scale, .o = o, .lse = lse};
    a.tokens = tokens, a.heads = heads, a.key_heads = key_heads, a.k = k;
    a.softmax = fused_chosen(FUSED_SOFTMAX);
    return run(&a, forward, batch);
}

int chronos_attend_backward(int kind, const float *x, const int64_t *visible, float scale, const float *lse,
                            const float *grad, float *dx, size_t batch, size_t tokens, size_t heads,
                            size_t key_heads, size_t k) {
    attend a = {.kind = kind, .x = x, .visible = visible, .scale = scale, .grad = grad, .dx = dx};
    a.tokens = tokens, a.heads = heads, a.key_heads = key_heads, a.k = k;
    a.lse = (float *)lse; /* only read */
    a.softmax = fused_chosen(FUSED_SOFTMAX_AGAIN);
    return run(&a, backward, batch);
}
