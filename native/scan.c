/* Finding the k best of many keys without storing their scores: blocks of scores, a filter, small heaps.
 * No product is computed here: that is in a file for each ISA. Each thread that takes part keeps a heap for
 * each query; "better" is a total order (score, then the lower id), so the k best of all do not depend on
 * which thread saw which key. */
#include "scan.h"

#include <stdlib.h>

#ifdef _WIN32 /* one thread: see pool.c */
typedef int slot_flag;
static int taken(slot_flag *f) { return (void)f, 0; }
static void give_back(slot_flag *f) { (void)f; }
static void let_others_run(void) {}
#else
#include <sched.h>
#include <stdatomic.h>
typedef atomic_flag slot_flag;
static int taken(slot_flag *f) { return atomic_flag_test_and_set(f); }
static void give_back(slot_flag *f) { atomic_flag_clear(f); }
static void let_others_run(void) { sched_yield(); }
#endif

enum {
    QUERIES = 32,          /* answered in one pass over the keys: bounds the scratch memory */
    TASK_BYTES = 1 << 20,  /* of keys: about 30 microseconds */
    NOTHING = INT32_MIN + 1, /* the floor of a heap with room: all but NaN is above */
};

typedef struct {
    int64_t id;
    int32_t score;
} found;

typedef struct {
    size_t held; /* of k; `best` is a heap with the worst at its root */
    found *best;
} heap;

typedef struct {
    const chronos_search *s;
    const scan_kernels *kernels;
    size_t q, query_bytes, task_rows, slots;
    uint8_t *queries; /* (q,) padded, float32 or int8; on a cache line of `memory` */
    heap *heaps;      /* (slots, q) */
    slot_flag *busy;  /* (slots,) */
    found *rooms;     /* (slots, q, k): where the heaps lie */
    void *memory;
} scan;

static int worse(found a, found b) { return a.score < b.score || (a.score == b.score && a.id > b.id); }

/* Put f at `at` or below it, where all below is a heap. */
static void sift_down(found *best, size_t held, size_t at, found f) {
    for (size_t child; (child = 2 * at + 1) < held; at = child) {
        if (child + 1 < held && worse(best[child + 1], best[child]))
            child++;
        if (!worse(best[child], f))
            break;
        best[at] = best[child];
    }
    best[at] = f;
}

static void offer(heap *h, size_t k, found f) {
    if (h->held == k) {
        if (worse(h->best[0], f))
            sift_down(h->best, k, 0, f);
        return;
    }
    size_t at = h->held++;
    for (; at && worse(f, h->best[(at - 1) / 2]); at = (at - 1) / 2)
        h->best[at] = h->best[(at - 1) / 2];
    h->best[at] = f;
}

static int passes(const chronos_search *s, size_t id) {
    if (s->allowed.at && !s->allowed.at[id * s->allowed.stride])
        return 0;
    if (s->sources.at && !s->wanted[s->sources.at[id * s->sources.stride]])
        return 0;
    if (s->times.at) {
        int64_t time;
        memcpy(&time, s->times.at + id * s->times.stride, sizeof time);
        return s->since <= time && time < s->until;
    }
    return 1;
}

/* Scores of keys start ... start + rows with one query, as integers in the order of the scores. */
static void score_block(const scan *c, size_t start, size_t rows, const uint8_t *query, int32_t *scores) {
    const chronos_search *s = c->s;
    const uint8_t *keys = s->keys.at + start * s->keys.stride;
    if (s->bf16) {
        float sums[SCAN_ROWS];
        c->kernels->bf16(keys, s->keys.stride, rows, s->width, (const float *)(const void *)query, sums);
        for (size_t r = 0; r < rows; r++)
            scores[r] = order_of_float(sums[r]);
        return;
    }
    c->kernels->int8((const int8_t *)keys, s->keys.stride, rows, s->width, (const int8_t *)query, scores);
    if (!s->scales.at)
        return;
    const uint8_t *at = s->scales.at + start * s->scales.stride;
    for (size_t r = 0; r < rows; r++, at += s->scales.stride) {
        float scale;
        memcpy(&scale, at, sizeof scale);
        scores[r] = order_of_float((float)scores[r] * scale);
    }
}

static void scan_block(const scan *c, heap *heaps, size_t start, size_t rows) {
    int32_t scores[SCAN_ROWS];
    uint16_t places[SCAN_ROWS];
    size_t k = c->s->k;
    for (size_t i = 0; i < c->q; i++) {
        heap *h = heaps + i;
        score_block(c, start, rows, c->queries + i * c->query_bytes, scores);
        int32_t floor = h->held == k ? h->best[0].score : NOTHING;
        size_t n = c->kernels->above(scores, rows, floor, places);
        for (size_t j = 0; j < n; j++) {
            found f = {(int64_t)(start + places[j]), scores[places[j]]};
            if ((h->held < k || worse(h->best[0], f)) && passes(c->s, start + places[j]))
                offer(h, k, f);
        }
    }
}

/* One for each thread that takes part: there is always one free, or about to be. */
static size_t take_slot(scan *c) {
    for (;; let_others_run())
        for (size_t i = 0; i < c->slots; i++)
            if (!taken(c->busy + i))
                return i;
}

static void scan_task(void *context, size_t task) {
    scan *c = context;
    size_t start = task * c->task_rows, rest = c->s->n - start;
    size_t end = start + (rest < c->task_rows ? rest : c->task_rows);
    size_t slot = take_slot(c);
    for (; start < end; start += SCAN_ROWS)
        scan_block(c, c->heaps + slot * c->q, start, end - start < SCAN_ROWS ? end - start : SCAN_ROWS);
    give_back(c->busy + slot);
}

/* Queries first ... first + c->q, padded with zeros. */
static void pad_queries(const scan *c, size_t first) {
    const chronos_search *s = c->s;
    size_t bytes = s->width * (s->bf16 ? sizeof(float) : 1);
    memset(c->queries, 0, c->q * c->query_bytes);
    for (size_t i = 0; i < c->q; i++) {
        memcpy(c->queries + i * c->query_bytes, (const uint8_t *)s->queries + (first + i) * bytes, bytes);
        float *f = (float *)(void *)(c->queries + i * c->query_bytes);
        for (size_t j = 0; s->bf16 && j < s->width; j++)
            f[j] = rounded_to_bf16(f[j]);
    }
}

/* All slots' heaps of query i into the first one's, then out of it, worst first. */
static void write_results(const scan *c, size_t i, int64_t *ids, int32_t *scores) {
    size_t k = c->s->k;
    heap *all = c->heaps + i;
    for (size_t slot = 1; slot < c->slots; slot++) {
        const heap *h = c->heaps + slot * c->q + i;
        for (size_t j = 0; j < h->held; j++)
            offer(all, k, h->best[j]);
    }
    int floats = c->s->bf16 || c->s->scales.at;
    for (size_t j = all->held; j < k; j++)
        ids[j] = -1, scores[j] = 0;
    while (all->held) {
        found f = all->best[0];
        all->held--;
        sift_down(all->best, all->held, 0, all->best[all->held]);
        float score = float_of_order(f.score);
        ids[all->held] = f.id;
        memcpy(scores + all->held, floats ? (void *)&score : (void *)&f.score, sizeof score);
    }
}

static const scan_kernels *chosen_kernels(void) {
    const char *isa = isa_chosen()->name;
#ifdef HAVE_AVX2
    if (strcmp(isa, scan_avx512.isa) == 0)
        return &scan_avx512;
    if (strcmp(isa, scan_avx2.isa) == 0)
        return &scan_avx2;
#endif
#ifdef HAVE_NEON_DOT
    if (strcmp(isa, scan_neon_dot.isa) == 0)
        return &scan_neon_dot;
#endif
#ifdef HAVE_NEON
    if (strcmp(isa, scan_neon.isa) == 0)
        return &scan_neon;
#endif
    (void)isa;
    return &scan_portable;
}

/* Scratch memory for `most` queries at once; 0 if there is too little. */
static int make_room(scan *c, size_t most) {
    const size_t line = 64, k = c->s->k;
    c->memory = malloc(most * c->query_bytes + line);
    c->heaps = malloc(c->slots * most * sizeof *c->heaps);
    c->rooms = malloc(c->slots * most * k * sizeof *c->rooms);
    c->busy = calloc(c->slots, sizeof *c->busy);
    if (!c->memory || !c->heaps || !c->rooms || !c->busy)
        return 0;
    c->queries = (uint8_t *)c->memory + (line - (uintptr_t)c->memory % line);
    for (size_t i = 0; i < c->slots; i++)
        give_back(c->busy + i);
    return 1;
}

int chronos_scan(const chronos_search *s, int64_t *ids, void *scores) {
    if (s->width > SCAN_WIDTH)
        return CHRONOS_BAD_K;
    if (s->k == 0 || s->q == 0)
        return CHRONOS_OK;
    scan c = {.s = s, .kernels = chosen_kernels(), .slots = (size_t)chronos_threads()};
    size_t most = s->q < QUERIES ? s->q : QUERIES;
    c.query_bytes = (s->width + SCAN_PAD - 1) / SCAN_PAD * SCAN_PAD * (s->bf16 ? sizeof(float) : 1);
    c.task_rows = (TASK_BYTES / (s->keys.stride + 1) / SCAN_ROWS + 1) * SCAN_ROWS;
    int whole = make_room(&c, most);
    for (size_t first = 0; whole && first < s->q; first += most) {
        c.q = s->q - first < most ? s->q - first : most;
        for (size_t i = 0; i < c.slots * c.q; i++)
            c.heaps[i] = (heap){0, c.rooms + i * s->k};
        pad_queries(&c, first);
        pool_run(scan_task, &c, (s->n + c.task_rows - 1) / c.task_rows);
        for (size_t i = 0; i < c.q; i++)
            write_results(&c, i, ids + (first + i) * s->k, (int32_t *)scores + (first + i) * s->k);
    }
    free(c.memory);
    free(c.heaps);
    free(c.rooms);
    free(c.busy);
    return whole ? CHRONOS_OK : CHRONOS_NO_MEMORY;
}
