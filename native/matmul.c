/* y = x w^T for quantized w: cuts the work into tasks for the kernels of the chosen ISA.
 * No arithmetic here, not even quantizing x: that is in matmul_portable.c and a file for each further ISA.
 *
 * Tasks are tiles of y: some rows of w by up to COLS rows of x. With one row of x (decoding) that divides
 * the outputs among the threads; with many it divides both, and the quantized x of a tile stays in cache. */
#include "chronos_native.h"

#include <stdlib.h>

enum {
    CHUNK = 256,            /* rows of x quantized together: bounds the scratch memory, 1.25 bytes a value */
    COLS = 64,              /* rows of x in a tile */
    MIN_ROWS = 16,          /* rows of w in a tile, at least: each reads the tile's x once */
    TILE_BLOCKS = 16 << 10, /* blocks times rows of x worth handing out: about 10 microseconds */
};

typedef struct {
    const isa_table *isa;
    product_fn *product;
    const uint8_t *w;
    size_t n, k, row_bytes;
    const float *x;
    float *y;
    x_group *groups;
    size_t b, tile_rows, row_tiles; /* b: rows of x in this chunk */
} product;

static void quantize_row(void *context, size_t i) {
    enum { SPAN = GROUP * BLOCK };
    const product *p = context;
    const float *x = p->x + i * p->k;
    size_t whole = p->k % BLOCK ? p->k / SPAN * SPAN : p->k;
    x_group *groups = p->groups + i * groups_of(p->k);
    p->isa->quantize_x(x, whole, groups);
    if (whole == p->k)
        return;
    float ends[SPAN] = {0}; /* of a row that ends within a block: zeros fill it up */
    memcpy(ends, x + whole, (p->k - whole) * sizeof(float));
    p->isa->quantize_x(ends, SPAN, groups + whole / SPAN);
}

static void multiply_tile(void *context, size_t task) {
    const product *p = context;
    size_t row = task % p->row_tiles * p->tile_rows, col = task / p->row_tiles * COLS;
    size_t rows = p->n - row < p->tile_rows ? p->n - row : p->tile_rows;
    size_t cols = p->b - col < COLS ? p->b - col : COLS;
    part tile = {.rows = rows, .cols = cols, .blocks = (p->k + BLOCK - 1) / BLOCK, .ldy = p->n};
    tile.w = p->w + row * p->row_bytes;
    tile.groups = p->groups + col * groups_of(p->k);
    tile.y = p->y + col * p->n + row;
    p->product(&tile);
}

static void multiply_chunk(product *p) {
    size_t cols = p->b < COLS ? p->b : COLS, row_work = p->k / BLOCK * cols + 1;
    p->tile_rows = TILE_BLOCKS / row_work < MIN_ROWS ? MIN_ROWS : TILE_BLOCKS / row_work;
    p->row_tiles = (p->n + p->tile_rows - 1) / p->tile_rows;
    if (p->b * p->k < 64 << 10) /* too little to share */
        for (size_t i = 0; i < p->b; i++)
            quantize_row(p, i);
    else
        pool_run(quantize_row, p, p->b);
    pool_run(multiply_tile, p, p->row_tiles * ((p->b + COLS - 1) / COLS));
}

int chronos_matmul(int type, const uint8_t *w, size_t n, size_t k, const float *x, size_t b, float *y) {
    if (!block_bytes(type))
        return CHRONOS_BAD_TYPE;
    if (n == 0 || b == 0)
        return CHRONOS_OK;
    size_t chunk = b < CHUNK ? b : CHUNK, line = 64;
    char *scratch = malloc(chunk * groups_of(k) * sizeof(x_group) + line);
    if (!scratch)
        return CHRONOS_NO_MEMORY;
    product p = {.isa = isa_chosen(), .w = w, .n = n, .k = k};
    p.product = type == CHRONOS_Q4_0 ? p.isa->q4_0 : p.isa->q8_0;
    p.row_bytes = (k + BLOCK - 1) / BLOCK * block_bytes(type);
    p.groups = (x_group *)(scratch + (line - (uintptr_t)scratch % line)); /* on a cache line */
    for (size_t i = 0; i < b; i += chunk) {
        p.x = x + i * k;
        p.y = y + i * n;
        p.b = b - i < chunk ? b - i : chunk;
        multiply_chunk(&p);
    }
    free(scratch);
    return CHRONOS_OK;
}
