/* Weights to blocks of Q4_0 and Q8_0 and back, byte for byte as llama.cpp and `gguf` do it.
 * No products here (matmul.c), no choice of ISA: compilers vectorize this well enough for work that is done
 * once a model. Build with -ffp-contract=off: a fused x * id + 8.5 rounds some weights to other codes. */
#include "chronos_native.h"

#include <math.h>

/* Where Python let a NaN through after all (it looks, and refuses), this keeps the cast defined. */
static inline float at_most(float v, float limit) { return v < limit ? v : limit; }

/* Where 1/d overflows, x/d means nothing; llama.cpp and gguf then cast infinities and NaNs to integers, which
 * on x86 makes every code 0. We say 0 on every machine. */
static void quantize_q4_0(const float *x, uint8_t *out) {
    float max = x[0], amax = fabsf(x[0]);
    for (int i = 1; i < BLOCK; i++) /* the first of equals wins, so its sign does */
        if (fabsf(x[i]) > amax)
            max = x[i], amax = fabsf(x[i]);
    float d = max / -8.0f, id = d != 0.0f ? 1.0f / d : 0.0f;
    store_half(out, half_of_float(d));
    memset(out + 2, 0, BLOCK / 2);
    if (!isfinite(id))
        return;
    for (int i = 0; i < BLOCK / 2; i++) { /* the unrounded d; each step rounded to float */
        float low = x[i] * id, high = x[i + 16] * id;
        out[2 + i] = (uint8_t)((int)at_most(low + 8.5f, 15.5f) | (int)at_most(high + 8.5f, 15.5f) << 4);
    }
}

static void quantize_q8_0(const float *x, uint8_t *out) {
    float amax = 0.0f;
    for (int i = 0; i < BLOCK; i++)
        amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax;
    float d = amax / 127.0f, id = d != 0.0f ? 1.0f / d : 0.0f;
    store_half(out, half_of_float(d));
    memset(out + 2, 0, BLOCK);
    if (!isfinite(id))
        return;
    for (int i = 0; i < BLOCK; i++) { /* half away from zero, without roundf, which would be a call */
        float v = x[i] * id, a = at_most(fabsf(v), 127.25f);
        int q = (int)a;
        q += a - (float)q >= 0.5f;
        out[2 + i] = (uint8_t)(v < 0.0f ? -q : q);
    }
}

static void dequantize_q4_0(const uint8_t *block, float *x) {
    float d = float_of_half(load_half(block));
    for (int i = 0; i < BLOCK / 2; i++) {
        x[i] = d * (float)((block[2 + i] & 15) - 8);
        x[i + 16] = d * (float)((block[2 + i] >> 4) - 8);
    }
}

static void dequantize_q8_0(const uint8_t *block, float *x) {
    float d = float_of_half(load_half(block));
    for (int i = 0; i < BLOCK; i++)
        x[i] = d * (float)(int8_t)block[2 + i];
}

/* Work is cut into tasks of so many blocks that handing one out costs nothing beside it. */
enum { TASK_BLOCKS = 2048 };

typedef struct {
    int type;
    size_t blocks; /* in all */
    const float *x;
    const uint8_t *packed;
    float *x_out;
    uint8_t *packed_out;
} conversion;

static void convert(void *context, size_t task) {
    const conversion *c = context;
    size_t size = block_bytes(c->type), end = (task + 1) * TASK_BLOCKS;
    end = end < c->blocks ? end : c->blocks;
    for (size_t i = task * TASK_BLOCKS; i < end; i++)
        if (c->packed_out && c->type == CHRONOS_Q4_0)
            quantize_q4_0(c->x + i * BLOCK, c->packed_out + i * size);
        else if (c->packed_out)
            quantize_q8_0(c->x + i * BLOCK, c->packed_out + i * size);
        else if (c->type == CHRONOS_Q4_0)
            dequantize_q4_0(c->packed + i * size, c->x_out + i * BLOCK);
        else
            dequantize_q8_0(c->packed + i * size, c->x_out + i * BLOCK);
}

static int convert_all(conversion *c, size_t rows, size_t k) {
    if (!block_bytes(c->type))
        return CHRONOS_BAD_TYPE;
    if (k % BLOCK)
        return CHRONOS_BAD_K;
    c->blocks = rows * (k / BLOCK);
    pool_run(convert, c, (c->blocks + TASK_BLOCKS - 1) / TASK_BLOCKS);
    return CHRONOS_OK;
}

int chronos_quantize(int type, const float *w, size_t rows, size_t k, uint8_t *blocks) {
    conversion c = {.type = type, .x = w, .packed_out = blocks};
    return convert_all(&c, rows, k);
}

int chronos_dequantize(int type, const uint8_t *blocks, size_t rows, size_t k, float *w) {
    conversion c = {.type = type, .packed = blocks, .x_out = w};
    return convert_all(&c, rows, k);
}

size_t chronos_nonfinite(const float *x, size_t n) {
    enum { STRIDE = 1024 }; /* look at a stretch without branches, then, if it is bad, for the place */
    for (size_t start = 0; start < n; start += STRIDE) {
        size_t end = n - start < STRIDE ? n : start + STRIDE;
        uint32_t bad = 0;
        for (size_t i = start; i < end; i++)
            bad |= (float_bits(x[i]) & 0x7f800000) == 0x7f800000;
        for (size_t i = start; bad && i < end; i++)
            if (!isfinite(x[i]))
                return i;
    }
    return n;
}
