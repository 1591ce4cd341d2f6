/* y = x w^T for packed w: cuts the work into tasks for the panel kernels of the chosen ISA.
 * No arithmetic here. Rows of x are quantized four at a time. Up to four are multiplied as panels are read: each
 * thread follows two stripes of them from end to end, for processors foresee long streams, not short ones in turn.
 * With more rows of x each task takes some pairs of panels by up to 64 of them, a stretch of a pair at a time, so
 * that it is in the first-level cache for all but the first four. */
#include "gemm.h"
#include "products.h"

#include <stdlib.h>

enum {
    CHUNK = 256,           /* rows of x quantized together: bounds the scratch memory, 1.25 bytes a value */
    TASK_COLS = 64,        /* rows of x in a task */
    TASK_WORK = 256 << 10, /* weights times rows of x worth handing out: about 2 microseconds */
    PIECES = 24,           /* of a stripe, so that threads finish together */
};

typedef struct {
    const panel_table *kernels;
    panel_fn *product;
    int type;
    const uint8_t *panels;
    size_t n, k, filled, b; /* k: columns of x; filled: weights of a row; b: rows of x in this chunk */
    const float *x;
    float *y;
    uint8_t *prepared;
    size_t tile_bytes, tiles, panel_bytes, pairs, task_pairs, row_tasks;
    size_t readers, stripe, piece; /* threads that read, panels of each stripe, of a stripe in a task */
} product;

static const panel_table *table_of(const isa_table *isa) {
    return isa->panels ? isa->panels : &panels_portable;
}

static panel_fn *product_of(const panel_table *t, int type) {
    switch (type) {
    case CHRONOS_Q8_0: return t->q8_0;
    case CHRONOS_Q2_K: return t->q2_k;
    case CHRONOS_F16: return t->f16;
#ifdef GEMM_AVX512
    case CHRONOS_BF16: return chronos_gemm_bf16() ? panels_bf16 : t->bf16;
#else
    case CHRONOS_BF16: return t->bf16;
#endif
    default: return t->q4_0;
    }
}

/* x as it is, but with the columns beside each other, and a zero where K is odd. */
static void prepare_floats(const float *x, size_t ldx, size_t cols, size_t k, float *out) {
    for (size_t i = 0; i < k + k % 2; i++)
        for (size_t c = 0; c < cols; c++)
            out[i * cols + c] = i < k ? x[c * ldx + i] : 0.0f;
}

static void prepare_tile(void *context, size_t i) {
    const product *p = context;
    size_t left = p->b - i * COLS, cols = left < COLS ? left : COLS;
    uint8_t *out = p->prepared + i * p->tile_bytes;
    const float *x = p->x + i * COLS * p->k;
    size_t step = panel_step_weights(p->type), whole = p->k == p->filled ? p->k : p->k / SUPER * SUPER;
    int zero = p->type == CHRONOS_Q8_0 ? 128 : 8;
    if (p->type == CHRONOS_BF16) {
        gemm_source source = {x, p->k, 1};
        gemm_chosen()->pack[GEMM_BF16](source, cols, p->k, cols, 0, (uint32_t *)(void *)out);
        return;
    }
    if (p->type == CHRONOS_F16) {
        prepare_floats(x, p->k, cols, p->k, (float *)(void *)out);
        return;
    }
    prepare_fn *prepare = step == SUPER ? p->kernels->prepare_super : p->kernels->prepare;
    prepare(x, p->k, cols, whole, zero, out);
    if (whole == p->k)
        return;
    float ends[COLS * SUPER] = {0}; /* of rows that end within a block: zeros fill it up */
    for (size_t c = 0; c < cols; c++)
        memcpy(ends + c * SUPER, x + c * p->k + whole, (p->k - whole) * sizeof(float));
    prepare(ends, SUPER, cols, p->filled - whole, zero, out + x_bytes(p->type, whole, cols));
}

/* What follows these panels, `ahead` bytes further on, is asked for meanwhile, a share of it by each of `of`
 * tiles. (With a single one that is too much at once, but for the largest codes, which wait the longest.) */
static void ask_for_next(const product *p, panel_part *part, size_t ahead, size_t share, size_t of) {
    const size_t line = 64;
    part->lines = (panel_step_bytes(p->type) / line + of - 1) / of;
    for (int n = 0; n < 2; n++)
        part->next[n] = (uintptr_t)part->panel[n] + ahead + share * part->steps * part->lines * line;
}

/* Two panels by the tiles [tile, last) of x: a few steps at a time by all of them, if there are several. Sums
 * wait for the next steps in a place of their own: columns of y are often a power of two apart, and would push
 * each other out. */
static void multiply_pair(const product *p, size_t i, size_t tile, size_t last) {
    enum { PAIR = 2 * PANEL };
    const uint8_t *panel = p->panels + i * p->panel_bytes;
    size_t left = p->n - i * PANEL, all = panel_steps(p->type, p->filled), step = panel_step_bytes(p->type);
    size_t rows = left < PAIR ? left : PAIR, some = last - tile > 1 ? FIRST_LEVEL / (2 * step) : all, start = 0;
    float sums[TASK_COLS * PAIR], *y = p->y + tile * COLS * p->n + i * PANEL;
    int once = all <= some;
    do { /* once where there are no steps, for y must be written */
        for (size_t t = tile; t < last; t++) {
            size_t cols = p->b - t * COLS < COLS ? p->b - t * COLS : COLS, column = (t - tile) * COLS;
            panel_part part = {.rows = rows, .ldy = once ? p->n : PAIR, .more = start > 0, .fresh = t == tile};
            part.steps = all - start < some ? all - start : some;
            part.skip = start + some < all ? 0 : p->panel_bytes;
            part.panel[0] = panel + start * step;
            part.panel[1] = part.panel[0] + (left > PANEL ? p->panel_bytes : 0);
            part.x = p->prepared + t * p->tile_bytes + x_bytes(p->type, start * panel_step_weights(p->type), cols);
            part.y = (once ? y : sums) + column * part.ldy;
            size_t ahead = start + some < all ? some * step : 2 * p->panel_bytes - start * step;
            if (t > tile && (last - tile > 2 || p->type == CHRONOS_Q8_0))
                ask_for_next(p, &part, ahead, t - tile - 1, last - tile - 1);
            p->product(&part, cols);
        }
        start += some;
    } while (start < all);
    for (size_t c = 0; !once && c < (last - tile) * COLS && tile * COLS + c < p->b; c++)
        memcpy(y + c * p->n, sums + c * PAIR, rows * sizeof(float));
}

static void multiply(void *context, size_t task) {
    const product *p = context;
    size_t pair = task % p->row_tasks * p->task_pairs, end = pair + p->task_pairs;
    size_t tile = task / p->row_tasks * (TASK_COLS / COLS), last = tile + TASK_COLS / COLS;
    for (; pair < end && pair < p->pairs; pair++)
        multiply_pair(p, 2 * pair, tile, last < p->tiles ? last : p->tiles);
}

/* Panel v by w, for all rows of x, which are one tile; a panel past the last is left out. */
static void multiply_two(const product *p, size_t v, size_t w) {
    size_t panels = (p->n + PANEL - 1) / PANEL, each[2] = {v, w < panels ? w : v};
    float sums[COLS * 2 * PANEL];
    panel_part part = {.x = p->prepared, .y = sums, .rows = 2 * PANEL, .ldy = 2 * PANEL, .fresh = 1};
    part.steps = panel_steps(p->type, p->filled);
    for (int i = 0; i < 2; i++)
        part.panel[i] = p->panels + each[i] * p->panel_bytes;
    p->product(&part, p->b);
    for (int i = 0; i < 2; i++) {
        size_t left = p->n - each[i] * PANEL, rows = left < PANEL ? left : PANEL;
        for (size_t c = 0; c < p->b; c++) {
            float *y = p->y + c * p->n + each[i] * PANEL, *sum = sums + (2 * c + i) * PANEL;
            if (rows == PANEL) /* a size that the compiler knows */
                memcpy(y, sum, PANEL * sizeof *y);
            else
                memcpy(y, sum, rows * sizeof *y);
        }
    }
}

/* Tasks are handed out in turn, so each reader follows its own stripes until another one is slower. */
static void follow(void *context, size_t task) {
    const product *p = context;
    size_t panels = (p->n + PANEL - 1) / PANEL, begin = task / p->readers * p->piece, end = begin + p->piece;
    size_t v = task % p->readers * 2 * p->stripe + begin;
    for (; begin < end && begin < p->stripe && v < panels; begin++, v++)
        multiply_two(p, v, v + p->stripe);
}

static void multiply_tile(product *p) {
    size_t panels = (p->n + PANEL - 1) / PANEL, work = PANEL * p->k * p->b + 1, least = TASK_WORK / (2 * work) + 1;
    size_t threads = (size_t)chronos_threads(), worth = panels / (2 * least) + 1;
    p->readers = threads < worth ? threads : worth;
    p->stripe = (panels + 2 * p->readers - 1) / (2 * p->readers);
    p->piece = p->stripe / PIECES + 1;
    p->piece = p->piece > least ? p->piece : least;
    prepare_tile(p, 0);
    pool_run(follow, p, (p->stripe + p->piece - 1) / p->piece * p->readers);
}

static void multiply_chunk(product *p) {
    size_t cols = p->b < TASK_COLS ? p->b : TASK_COLS, pair_work = 2 * PANEL * p->k * cols + 1;
    size_t share = p->pairs / (4 * (size_t)chronos_threads()) + 1; /* so that threads finish together */
    p->tiles = (p->b + COLS - 1) / COLS;
    if (p->tiles == 1) {
        multiply_tile(p);
        return;
    }
    p->task_pairs = TASK_WORK / pair_work + 1;
    p->task_pairs = p->task_pairs > share ? p->task_pairs : share;
    p->row_tasks = (p->pairs + p->task_pairs - 1) / p->task_pairs;
    if (p->b * p->k < 64 << 10) /* too little to share */
        for (size_t i = 0; i < p->tiles; i++)
            prepare_tile(p, i);
    else
        pool_run(prepare_tile, p, p->tiles);
    pool_run(multiply, p, p->row_tasks * ((p->b + TASK_COLS - 1) / TASK_COLS));
}

size_t chronos_packed_bytes(int type, size_t n, size_t k) {
    return (n + PANEL - 1) / PANEL * panel_bytes(type, filled(type, k));
}

static int check(int type) { return format_of(type).weights ? CHRONOS_OK : CHRONOS_BAD_TYPE; }

int chronos_matmul_packed(int type, const uint8_t *panels, size_t n, size_t k, const float *x, size_t b,
                          float *y) {
    int wrong = check(type);
    if (wrong || n == 0 || b == 0)
        return wrong;
    product p = {.type = type, .panels = panels, .n = n, .k = k, .kernels = table_of(isa_chosen())};
    size_t chunk = b < CHUNK ? b : CHUNK, line = 64;
    p.product = product_of(p.kernels, type);
    p.filled = filled(type, k);
    p.panel_bytes = panel_bytes(type, p.filled);
    p.pairs = (n + 2 * PANEL - 1) / (2 * PANEL);
    p.tile_bytes = (x_bytes(type, p.filled, chunk < COLS ? chunk : COLS) + line - 1) / line * line;
    char *scratch = malloc((chunk + COLS - 1) / COLS * p.tile_bytes + line);
    if (!scratch)
        return CHRONOS_NO_MEMORY;
    p.prepared = (uint8_t *)scratch + (line - (uintptr_t)scratch % line); /* on a cache line */
    for (size_t i = 0; i < b; i += chunk) {
        p.x = x + i * k;
        p.y = y + i * n;
        p.b = b - i < chunk ? b - i : chunk;
        multiply_chunk(&p);
    }
    free(scratch);
    return CHRONOS_OK;
}

typedef struct {
    int type;
    const uint8_t *from;
    uint8_t *to;
    size_t n, k;
    const int64_t *rows;
} packing;

static void pack_task(void *context, size_t i) {
    const packing *p = context;
    size_t left = p->n - i * PANEL;
    const uint8_t *from = p->from + i * PANEL * row_bytes(p->type, p->k);
    pack_panel(p->type, from, left < PANEL ? left : PANEL, p->k, p->to + i * panel_bytes(p->type, p->k));
}

int chronos_pack(int type, const uint8_t *blocks, size_t n, size_t k, uint8_t *panels) {
    int wrong = check(type);
    if (wrong)
        return wrong;
    packing p = {.type = type, .from = blocks, .to = panels, .n = n, .k = filled(type, k)};
    pool_run(pack_task, &p, (n + PANEL - 1) / PANEL);
    return CHRONOS_OK;
}

static void unpack_task(void *context, size_t i) {
    const packing *p = context;
    unpack_row(p->type, p->from, p->k, (size_t)p->rows[i], p->to + i * row_bytes(p->type, p->k));
}

int chronos_unpack_rows(int type, const uint8_t *panels, size_t k, const int64_t *rows, size_t count,
                        uint8_t *blocks) {
    int wrong = check(type);
    if (wrong)
        return wrong;
    packing p = {.type = type, .from = panels, .to = blocks, .k = filled(type, k), .rows = rows};
    pool_run(unpack_task, &p, count);
    return CHRONOS_OK;
}
