/* The kernel of bf16 products of few rows, for x86-64 with AVX-512 and its BF16.
 * Packing all of b first takes longer than multiplying few rows by it. Here b is packed piece by piece into the
 * first-level cache, each piece between the multiplications by the one before, which leave most ports free.
 * Sums that wait for the next piece are kept beside it, so that each element is still one chain of additions
 * along k, as in a tile of gemm_avx512.c. It keeps nothing of b. */
#include "gemm.h"

#ifdef GEMM_AVX512
#include "gemm_avx512.h"

enum { VECS = B_WIDTH / LANES, PARTS = 4 /* of a step */, MOST_COLS = 4 * B_WIDTH, MOST_UNITS = 64 };

/* Pieces of b: where k is contiguous one panel of 64 units, else four of 32, or of 64 for several tiles, whose
 * sums come and go with each piece. `way` is a constant wherever it is an argument. */
typedef enum { TURNED, FLAT, TALL } cut;
#define COLS_OF(way) (size_t)(way == TURNED ? B_WIDTH : MOST_COLS)
#define UNITS_OF(way) (size_t)(way == FLAT ? MOST_UNITS / 2 : MOST_UNITS)

/* A piece of b on its way into `panels`: what the next of `left` steps reads and writes. A step makes 8 units
 * of half a panel where k is contiguous, and else one unit of all columns. */
typedef struct {
    const float *from;
    uint32_t *to;
    size_t stride, left, cols, units, apart; /* from panel to panel */
    const uint32_t *panels;
} piece;

/* A quarter of a step, which is over with the last: `part` is a constant where this is inlined. */
INLINE void pack_part(cut way, int part, piece *q, __m512 r[CHUNK]) {
    if (way == TURNED)
        turn_load(part, q->from, q->stride, r);
    else if ((size_t)part * B_WIDTH < q->cols) {
        __m512i order = zip_order();
        EACH for (size_t v = 0; v < B_WIDTH; v += LANES) {
            const float *x = q->from + part * B_WIDTH + v;
            __m512 units = zip(order, _mm512_loadu_ps(x), _mm512_loadu_ps(x + q->stride));
            _mm512_storeu_ps(q->to + part * UNITS_OF(way) * B_WIDTH + v, units);
        }
    }
}

/* Asks for what such a part is to read: of the next step, or of the second after it. */
INLINE void ask_part(cut way, int part, const piece *q) {
    for (int i = 0; i < 4; i++)
        if (way == TURNED)
            ask((uintptr_t)q->from + (4 * part + i) * q->stride * sizeof(float));
        else if (way == TALL)
            ask((uintptr_t)(q->from + part * B_WIDTH) + i % 2 * LINE + (4 + i / 2) * q->stride * sizeof(float));
}

INLINE void end_step(cut way, piece *q, const __m512 r[CHUNK]) {
    q->left--;
    if (way == TURNED) { /* all k of 16 lines, then of the others: a cache has no place for 32 that are a
                          * power of two apart */
        turn_store(r, q->to);
        q->from += 2 * CHUNK;
        q->to += CHUNK * B_WIDTH;
        if (q->left == q->units / CHUNK) {
            q->from += LANES * q->stride - 2 * q->units;
            q->to += LANES - q->units * B_WIDTH;
        }
    } else {
        q->from += 2 * q->stride;
        q->to += B_WIDTH;
    }
}

INLINE void pack_rest(cut way, piece *next) {
    piece q = *next;
    while (q.left) {
        __m512 r[CHUNK];
        EACH for (int part = 0; part < PARTS; part++)
            pack_part(way, part, &q, r);
        end_step(way, &q, r);
    }
    *next = q;
}

/* The piece from unit u of line j on; one that is not made of whole steps is packed at once. */
INLINE piece begin(cut way, const gemm_part *p, gemm_source b, size_t k, size_t j, size_t u, uint32_t *to) {
    size_t cols = COLS_OF(way), units = UNITS_OF(way);
    piece q = {.to = to, .apart = units * B_WIDTH, .panels = to};
    q.stride = way == TURNED ? b.line_stride : b.k_stride;
    b.data += j * b.line_stride + 2 * u * b.k_stride;
    q.from = b.data;
    q.cols = p->cols - j < cols ? p->cols - j : cols;
    q.units = p->units - u < units ? p->units - u : units;
    if (q.cols % B_WIDTH || 2 * (u + q.units) > k || (way == TURNED && q.units % CHUNK)) {
        gemm_pack_avx512_bf16(b, q.cols, k - 2 * u < 2 * q.units ? k - 2 * u : 2 * q.units, B_WIDTH, 1, to);
        q.apart = q.units * B_WIDTH;
    } else
        q.left = way == TURNED ? q.units / CHUNK * VECS : q.units;
    return q;
}

/* Where a tile stands: its part of a, b and c, its sums; `often`: a step to each four units, not to eight. */
typedef struct {
    const uint32_t *a, *b;
    float *sums, *c;
    size_t units, cols;
    int often, begun, ended;
} place;

INLINE void unit(int rows, const uint32_t *a, const uint32_t *b, __m512 *sum) {
    __m512 low = _mm512_loadu_ps(b), high = _mm512_loadu_ps(b + LANES);
    EACH for (int i = 0; i < rows; i++) {
        __m512 x = (__m512)_mm512_set1_epi32((int)a[i]);
        sum[i * VECS] = add_product(GEMM_BF16, sum[i * VECS], x, low);
        sum[i * VECS + 1] = add_product(GEMM_BF16, sum[i * VECS + 1], x, high);
    }
}

/* `rows` rows by a panel, as far as this piece goes, with steps of the next in between, a quarter at a time:
 * the processor looks only some hundred instructions ahead. rows is a constant where this is inlined. */
INLINE void tile(cut way, int rows, const gemm_part *p, const place *at, piece *next) {
    const uint32_t *a = at->a, *b = at->b;
    size_t u = 0, units = at->units, whole = units / PARTS * PARTS, skipped = at->often ? 0 : PARTS;
    piece q = *next; /* a copy, for what is stored might alias it */
    __m512 sum[MAX_SUMS], r[CHUNK];
    if (at->begun)
        EACH for (int i = 0; i < rows * VECS; i++)
            sum[i] = _mm512_loadu_ps(at->sums + i * LANES);
    else
        EACH for (int i = 0; i < rows * VECS; i++)
            sum[i] = _mm512_setzero_ps();
    for (; u < whole; u += PARTS, a += PARTS * rows, b += PARTS * B_WIDTH)
        if (q.left && !(u & skipped)) {
            EACH for (int part = 0; part < PARTS; part++) {
                pack_part(way, part, &q, r);
                unit(rows, a + part * rows, b + part * B_WIDTH, sum);
            }
            end_step(way, &q, r);
        } else
            EACH for (int part = 0; part < PARTS; part++) {
                if (q.left)
                    ask_part(way, part, &q);
                unit(rows, a + part * rows, b + part * B_WIDTH, sum);
            }
    for (; u < units; u++, a += rows, b += B_WIDTH)
        unit(rows, a, b, sum);
    *next = q;
    if (!at->ended)
        EACH for (int i = 0; i < rows * VECS; i++)
            _mm512_storeu_ps(at->sums + i * LANES, sum[i]);
    else if (at->cols >= B_WIDTH)
        store(rows, VECS, p, sum, at->c);
    else
        store_some(rows, VECS, p, sum, at->c, at->cols);
}

typedef void tile_fn(const gemm_part *p, const place *at, piece *next);
#define TILE(name, way, rows)                                                                       \
    AVX512 static void name##_##rows(const gemm_part *p, const place *at, piece *next) {            \
        tile(way, rows, p, at, next);                                                               \
    }
#define TILES(name, way)                                                                            \
    TILE(name, way, 1) TILE(name, way, 2) TILE(name, way, 3) TILE(name, way, 4)                     \
    TILE(name, way, 5) TILE(name, way, 6) TILE(name, way, 7) TILE(name, way, 8)                     \
    TILE(name, way, 9) TILE(name, way, 10) TILE(name, way, 11)                                      \
    static tile_fn *const name##_tiles[FEW_TILE + 1] = {                                            \
        NULL, name##_1, name##_2, name##_3, name##_4, name##_5,                                     \
        name##_6, name##_7, name##_8, name##_9, name##_10, name##_11};
TILES(turned, TURNED)
TILES(flat, FLAT)
TILES(tall, TALL)

/* All rows by the piece at unit u of column j, while the next is packed. */
INLINE void multiply(const gemm_part *p, size_t j, size_t u, const piece *now, piece *next, float *sums,
                     tile_fn *const *tiles) {
    place at = {.units = now->units, .often = p->rows <= p->tile_rows, .begun = u > 0};
    at.ended = u + now->units == p->units;
    for (size_t v = 0; v < now->cols; v += B_WIDTH)
        for (size_t i = 0; i < p->rows; i += p->tile_rows) {
            size_t rows = p->rows - i < p->tile_rows ? p->rows - i : p->tile_rows;
            at.a = p->a + i * p->units + u * rows;
            at.b = now->panels + v / B_WIDTH * now->apart;
            at.c = p->c + i * p->ldc + j + v;
            at.cols = now->cols - v;
            at.sums = sums + v * p->rows + i * B_WIDTH;
            tiles[rows](p, &at, next);
        }
}

INLINE void few(cut way, const gemm_part *p, gemm_source b, size_t k, tile_fn *const *tiles) {
    float sums[FEW_ROWS * MOST_COLS] __attribute__((aligned(LINE)));
    uint32_t panels[2][MOST_COLS * MOST_UNITS] __attribute__((aligned(LINE)));
    piece now = begin(way, p, b, k, 0, 0, panels[0]), next = now;
    pack_rest(way, &now);
    for (size_t j = 0, u = 0, other = 1; j < p->cols; other ^= 1, now = next) {
        size_t next_u = u + now.units < p->units ? u + now.units : 0, next_j = next_u ? j : j + now.cols;
        next.left = 0;
        if (next_j < p->cols)
            next = begin(way, p, b, k, next_j, next_u, panels[other]);
        multiply(p, j, u, &now, &next, sums, tiles);
        pack_rest(way, &next);
        j = next_j, u = next_u;
    }
}

AVX512 void gemm_few_avx512_bf16(const gemm_part *p, gemm_source b, size_t k) {
    if (b.k_stride == 1)
        few(TURNED, p, b, k, turned_tiles);
    else if (p->rows <= p->tile_rows)
        few(FLAT, p, b, k, flat_tiles);
    else
        few(TALL, p, b, k, tall_tiles);
}
#endif
