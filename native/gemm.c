/* Products of float32 matrices, as they are or rounded to bf16: cuts the work into blocks and tasks.
 * No arithmetic here: that is in gemm_portable.c and a file for each further ISA.
 *
 * Goto and van de Geijn (2008): for a block of K and of columns, b is packed once, for all; then, for some
 * rows, a; then tasks, each some tiles of a that stay in the second-level cache by some panels of b. Where few
 * rows meet b as it is, or where K is small, packing is most of the work: each task packs its own part. */
#define _POSIX_C_SOURCE 200809L
#include "gemm.h"

#include <stdlib.h>

enum {
    LINE = 64,             /* bytes of a cache line */
    A_UNITS = 96 << 10,    /* of a for each thread, packed together: 384 KiB stay in the second-level cache */
    A_LEAST = 6 * A_WIDTH, /* rows, however deep */
    A_TURNED = 18 * A_WIDTH, /* rows at least where they are a's columns: long pieces of memory at a time */
    A_MOST = 24 * A_WIDTH,
    B_UNITS = 1 << 20, /* of b packed together: 4 MiB */
    TASK_COLS = 256,
    STREAM = 4 << 20, /* floats of c from which on it goes past the caches: 16 MiB */
    PACK_TILES = 16, PACK_COLS = 8 * B_WIDTH, /* packed by a task */
    SHALLOW = 32, /* k up to which a task packs its own rows of a: packing and waiting for c are most of it */
    SHALLOW_ROWS = 96, SHALLOW_TILE = 4, SHALLOW_UNITS = 8 << 10, /* rows of a task and tile; of b, 32 KiB */
    FEW_COLS = 4 * B_WIDTH, /* of a task, at least */
    GRAIN = 1 << 19, /* units of b times (rows + 8) worth handing out: some 6 microseconds */
};

typedef struct {
    const gemm_kernels *kernels;
    int kind, add, stream, few, shallow;
    size_t m, n, k; /* of this block */
    size_t block_rows, rows_at_once, tile_rows, pack_rows, task_rows, task_cols, row_tasks, col_tasks;
    gemm_source a_source, b_source;
    uint32_t *a, *b; /* b NULL: packed before */
    const uint32_t *b_packed;
    float *c;
    size_t ldc;
} block;

static size_t up(size_t n, size_t by) { return (n + by - 1) / by; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t chronos_gemm_packed(int kind, size_t n, size_t k) {
    return up(n, B_WIDTH) * B_WIDTH * gemm_units(kind, k);
}

/* Memory that a thread keeps from one product to the next, for fresh pages would cost more than packing; it
 * is freed with the thread. gemm_give_room belongs to each gemm_take_room, which has NULL where there is no memory. */
#ifdef _WIN32
uint32_t *gemm_take_room(size_t bytes) { return _aligned_malloc(bytes + LINE, LINE); }
void gemm_give_room(uint32_t *room) { _aligned_free(room); }
#else
#include <pthread.h>

static pthread_key_t room_key;
static pthread_once_t room_once = PTHREAD_ONCE_INIT;
static int room_keyed;

static void make_key(void) { room_keyed = pthread_key_create(&room_key, free) == 0; }

/* The room begins with its own size, one cache line. */
uint32_t *gemm_take_room(size_t bytes) {
    pthread_once(&room_once, make_key);
    char *kept = room_keyed ? pthread_getspecific(room_key) : NULL;
    if (kept && *(size_t *)kept >= bytes)
        return (uint32_t *)(kept + LINE);
    free(kept);
    if (room_keyed)
        pthread_setspecific(room_key, NULL);
    if (posix_memalign((void **)&kept, LINE, bytes + LINE))
        return NULL;
    *(size_t *)kept = bytes;
    if (room_keyed)
        pthread_setspecific(room_key, kept);
    return (uint32_t *)(kept + LINE);
}

void gemm_give_room(uint32_t *room) {
    if (!room_keyed)
        free((char *)room - LINE);
}
#endif

#ifdef GEMM_AVX512
#include <cpuid.h>
#include <stdatomic.h>

/* Beyond what dispatch.c has asked for. Asked once: within a virtual machine it takes 8 microseconds. */
static int cpu_has_bf16(void) {
    static atomic_int known; /* 0: not yet, else 1 more than the answer */
    unsigned a, b, c, d;
    if (!atomic_load_explicit(&known, memory_order_relaxed))
        atomic_store(&known, 1 + (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 5)));
    return atomic_load_explicit(&known, memory_order_relaxed) == 2;
}
#endif

const gemm_kernels *gemm_chosen(void) {
#ifdef GEMM_AVX512
    if (strcmp(chronos_isa_name(), "avx512") == 0)
        return cpu_has_bf16() ? &gemm_avx512_bf16 : &gemm_avx512;
#endif
#ifdef HAVE_AVX2
    if (strcmp(chronos_isa_name(), "portable") != 0)
        return &gemm_avx2;
#elif defined(HAVE_NEON)
    if (strcmp(chronos_isa_name(), "portable") != 0)
        return &gemm_neon;
#endif
    return &gemm_portable;
}

int chronos_gemm_bf16(void) { return gemm_chosen()->bf16; }

static gemm_source from(gemm_source s, size_t line, size_t k) {
    s.data += line * s.line_stride + k * s.k_stride;
    return s;
}

static void pack_b(void *context, size_t i) {
    const block *p = context;
    size_t line = i * PACK_COLS;
    p->kernels->pack[p->kind](from(p->b_source, line, 0), least(PACK_COLS, p->n - line), p->k, B_WIDTH, 1,
                              p->b + line * gemm_units(p->kind, p->k));
}

static void pack_a(void *context, size_t i) {
    const block *p = context;
    size_t line = i * p->pack_rows;
    p->kernels->pack[p->kind](from(p->a_source, line, 0), least(p->pack_rows, p->m - line), p->k,
                              p->tile_rows, 0, p->a + line * gemm_units(p->kind, p->k));
}

static gemm_part part_of(const block *p, size_t task) {
    size_t row = task / p->col_tasks * p->task_rows, col = task % p->col_tasks * p->task_cols;
    size_t units = gemm_units(p->kind, p->k);
    gemm_part part = {.units = units, .tile_rows = p->tile_rows, .ldc = p->ldc, .add = p->add};
    part.stream = p->stream && !p->add;
    part.rows = least(p->task_rows, p->m - row);
    part.cols = least(p->task_cols, p->n - col);
    part.a = p->a + row * units;
    part.a_width = p->tile_rows;
    part.b = p->b_packed ? p->b_packed + col * units : NULL;
    part.c = p->c + row * p->ldc + col;
    return part;
}

static void multiply(void *context, size_t task) {
    const block *p = context;
    gemm_part part = part_of(p, task);
    p->kernels->part[p->kind](&part);
}

static void multiply_shallow(void *context, size_t task) {
    const block *p = context;
    _Alignas(LINE) uint32_t a[SHALLOW_ROWS * SHALLOW];
    gemm_part part = part_of(p, task);
    gemm_source rows = from(p->a_source, task / p->col_tasks * p->task_rows, 0);
    p->kernels->pack[p->kind](rows, part.rows, p->k, SHALLOW_ROWS, 0, a);
    part.a = a;
    part.a_width = SHALLOW_ROWS;
    p->kernels->part[p->kind](&part);
}

static void multiply_few(void *context, size_t task) {
    const block *p = context;
    gemm_part part = part_of(p, task);
    p->kernels->few[p->kind](&part, from(p->b_source, task * p->task_cols, 0), p->k);
}

/* Tasks of nearly equal size, whole tiles by whole panels; few rows leave only columns to share out. */
static void plan(block *p) {
    size_t units = gemm_units(p->kind, p->k);
    p->tile_rows = up(p->m, up(p->m, A_WIDTH));
    p->task_rows = least(up(p->m, p->tile_rows), p->block_rows / A_WIDTH) * p->tile_rows;
    size_t panel = B_WIDTH * units * (least(p->task_rows, p->m) + 8) + 1;
    p->task_cols = least(up(GRAIN, panel), TASK_COLS / B_WIDTH) * B_WIDTH;
    if (p->task_cols < 4 * B_WIDTH && p->tile_rows < 8) /* few rows take four panels at a time */
        p->task_cols = 4 * B_WIDTH;
    p->row_tasks = up(p->m, p->task_rows);
    p->col_tasks = up(p->n, p->task_cols);
}

/* How many rows of a thread's part of a are packed together. */
static size_t rows_of_block(int kind, size_t k, int turned) {
    size_t rows = A_UNITS / (gemm_units(kind, k) + 1) / A_WIDTH * A_WIDTH, low = turned ? A_TURNED : A_LEAST;
    return rows < low ? low : least(rows, A_MOST);
}

static void run(pool_task *task, block *p, size_t tasks, size_t work) {
    if (work > 64 << 10)
        pool_run(task, p, tasks);
    else /* too little to share */
        for (size_t i = 0; i < tasks; i++)
            task(p, i);
}

/* Few rows: the columns alone are shared out, and each task packs its own. */
static void run_few(block *p) {
    p->tile_rows = up(p->m, up(p->m, FEW_TILE));
    p->task_rows = p->m;
    size_t threads = (size_t)chronos_threads();
    p->task_cols = up(up(p->n, threads > 1 ? 4 * threads : 1), FEW_COLS) * FEW_COLS;
    p->col_tasks = up(p->n, p->task_cols);
    p->pack_rows = p->tile_rows;
    run(pack_a, p, up(p->m, p->pack_rows), p->m * p->k);
    run(multiply_few, p, p->col_tasks, p->n * p->k);
}

/* Tasks of whole rows of c, if b fits the first-level cache: c is written in its order. */
static void run_shallow(block *p) {
    p->tile_rows = SHALLOW_TILE;
    p->task_rows = SHALLOW_ROWS;
    p->task_cols = SHALLOW_UNITS / gemm_units(p->kind, p->k) / B_WIDTH * B_WIDTH;
    p->row_tasks = up(p->m, p->task_rows);
    p->col_tasks = up(p->n, p->task_cols);
    run(multiply_shallow, p, p->row_tasks * p->col_tasks, p->m * p->n);
}

static void multiply_rows(block *p) {
    if (p->shallow) {
        run_shallow(p);
        return;
    }
    plan(p);
    p->pack_rows = PACK_TILES * p->tile_rows;
    run(pack_a, p, up(p->m, p->pack_rows), p->m * p->k);
    pool_run(multiply, p, p->row_tasks * p->col_tasks);
}

/* A block of K and of columns: all rows. */
static void multiply_block(block p, size_t m) {
    gemm_source a = p.a_source;
    float *c = p.c;
    p.m = m;
    if (p.few) {
        run_few(&p);
        return;
    }
    if (p.b) {
        run(pack_b, &p, up(p.n, PACK_COLS), p.n * p.k);
        p.b_packed = p.b;
    }
    for (size_t i = 0; i < m; i += p.rows_at_once) {
        p.m = least(p.rows_at_once, m - i);
        p.a_source = from(a, i, 0);
        p.c = c + i * p.ldc;
        multiply_rows(&p);
    }
}

static gemm_source lines_of(const float *data, size_t line_stride, size_t k_stride) {
    return (gemm_source){data, line_stride, k_stride};
}

int chronos_gemm_pack(int kind, size_t n, size_t k, const float *b, size_t b_row, size_t b_col,
                      uint32_t *packed) {
    block p = {.kernels = gemm_chosen(), .kind = kind, .n = n};
    gemm_source source = lines_of(b, b_col, b_row);
    for (size_t at = 0; at < k; at += K_BLOCK) {
        p.k = least(K_BLOCK, k - at);
        p.b_source = from(source, 0, at);
        p.b = packed;
        pool_run(pack_b, &p, up(n, PACK_COLS));
        packed += chronos_gemm_packed(kind, n, p.k);
    }
    return CHRONOS_OK;
}

int chronos_gemm(int kind, size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                 const float *b, size_t b_row, size_t b_col, const uint32_t *packed, float *c, size_t ldc,
                 int add) {
    if (m == 0 || n == 0)
        return CHRONOS_OK;
    size_t deep = gemm_units(kind, least(k, K_BLOCK)) + !k;
    block p = {.kernels = gemm_chosen(), .kind = kind, .add = add, .ldc = ldc};
    p.few = !packed && k && m <= FEW_ROWS && p.kernels->few[kind];
    p.shallow = !p.few && k && k <= SHALLOW && m > A_WIDTH;
    size_t cols_at_once = packed || p.few ? n : least(n, B_UNITS / deep / B_WIDTH * B_WIDTH);
    p.stream = n >= STREAM / m && ldc % (LINE / sizeof *c) == 0 && (uintptr_t)c % LINE == 0;
    p.block_rows = rows_of_block(kind, least(k, K_BLOCK), a_col != 1);
    p.rows_at_once = p.few || p.shallow ? m : least(m, p.block_rows * (size_t)chronos_threads());
    size_t b_room = packed || p.few ? 0 : up(cols_at_once, B_WIDTH) * B_WIDTH * deep;
    uint32_t *room = gemm_take_room((b_room + (p.shallow ? 0 : p.rows_at_once * deep)) * sizeof(uint32_t));
    if (!room)
        return CHRONOS_NO_MEMORY;
    p.b = b_room ? room : NULL;
    p.a = room + b_room;
    size_t at = 0;
    do { /* once for k = 0, too: c is to be zero */
        p.k = least(K_BLOCK, k - at);
        for (size_t j = 0; j < n; j += cols_at_once) {
            p.n = least(cols_at_once, n - j);
            p.a_source = from(lines_of(a, a_row, a_col), 0, at);
            p.b_source = packed ? p.b_source : from(lines_of(b, b_col, b_row), j, at);
            p.b_packed = packed;
            p.c = c + j;
            multiply_block(p, m);
        }
        if (packed)
            packed += chronos_gemm_packed(kind, n, p.k);
        p.add = 1;
        at += p.k;
    } while (at < k);
    gemm_give_room(room);
    return CHRONOS_OK;
}
