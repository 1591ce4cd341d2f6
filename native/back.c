/* y = g w for quantized w: the gradient that goes back through frozen weights, in float32.
 * Weights become floats a stretch of 32 rows by 256 columns at a time, which stays in the first cache levels;
 * the sums are an ISA's `accumulate`. No file of kernels of its own: it is done while training, not for each
 * token. */
#include "products.h"

#include <stdlib.h>

enum { STRETCH = 32, TASK_ROWS = 48 }; /* rows of w at a time, rows of g in a task */

typedef struct {
    const panel_table *kernels;
    int type;
    codec codec;
    format format;
    const uint8_t *blocks;
    size_t n, k, b, column_tasks;
    const float *g;
    float *y;
} back_product;

static void back_task(void *context, size_t task) {
    const back_product *p = context;
    float w[STRETCH * BACK_COLS], sum[TASK_ROWS * BACK_COLS];
    size_t column = task % p->column_tasks * BACK_COLS, row = task / p->column_tasks * TASK_ROWS;
    size_t cols = p->k - column < BACK_COLS ? p->k - column : BACK_COLS;
    size_t rows = p->b - row < TASK_ROWS ? p->b - row : TASK_ROWS;
    size_t bytes = row_bytes(p->type, p->k), count = (cols + p->format.weights - 1) / p->format.weights;
    const uint8_t *from = p->blocks + column / p->format.weights * p->format.bytes;
    memset(sum, 0, rows * BACK_COLS * sizeof(float));
    memset(w, 0, sizeof w); /* the columns past the last add nothing */
    for (size_t i = 0; i < p->n; i += STRETCH) {
        size_t stretch = p->n - i < STRETCH ? p->n - i : STRETCH;
        for (size_t r = 0; r < stretch; r++)
            p->codec.dequantize(from + (i + r) * bytes, w + r * BACK_COLS, count);
        p->kernels->accumulate(p->g + row * p->n + i, p->n, rows, w, stretch, sum);
    }
    for (size_t r = 0; r < rows; r++)
        memcpy(p->y + (row + r) * p->k + column, sum + r * BACK_COLS, cols * sizeof(float));
}

int chronos_back(int type, const uint8_t *blocks, size_t n, size_t k, const float *g, size_t b, float *y) {
    const panel_table *own = isa_chosen()->panels;
    back_product p = {.type = type, .blocks = blocks, .n = n, .k = k, .b = b, .g = g, .y = y};
    p.kernels = own ? own : &panels_portable;
    p.codec = codec_of(type);
    p.format = format_of(type);
    if (!p.format.weights)
        return CHRONOS_BAD_TYPE;
    p.column_tasks = (k + BACK_COLS - 1) / BACK_COLS;
    pool_run(back_task, &p, p.column_tasks * ((b + TASK_ROWS - 1) / TASK_ROWS));
    return CHRONOS_OK;
}
