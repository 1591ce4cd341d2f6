/* Weights to blocks and back: Q4_0 and Q8_0 byte for byte as llama.cpp and `gguf` do it, and all types by
 * threads. The other types are in quants_*.c; no products here (matmul.c), no choice of ISA: compilers
 * vectorize this well enough for work that is done once a model. Build with -ffp-contract=off: a fused x * id
 * + 8.5 rounds some weights to other codes. */
#include "products.h"

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

#define EACH_BLOCK(name, type)                                                                            \
    static void quantize_all_##name(const float *x, uint8_t *blocks, size_t count) {                      \
        for (size_t i = 0; i < count; i++)                                                                \
            quantize_##name(x + i * BLOCK, blocks + i * type##_BYTES);                                    \
    }                                                                                                     \
    static void dequantize_all_##name(const uint8_t *blocks, float *x, size_t count) {                    \
        for (size_t i = 0; i < count; i++)                                                                \
            dequantize_##name(blocks + i * type##_BYTES, x + i * BLOCK);                                  \
    }
EACH_BLOCK(q4_0, Q4_0)
EACH_BLOCK(q8_0, Q8_0)

codec codec_of(int type) {
    switch (type) {
    case CHRONOS_Q4_0: return (codec){quantize_all_q4_0, dequantize_all_q4_0};
    case CHRONOS_Q8_0: return (codec){quantize_all_q8_0, dequantize_all_q8_0};
    case CHRONOS_Q2_K: return codec_q2_k;
    case CHRONOS_INT4_32: return codec_int4_32;
    case CHRONOS_INT4_64: return codec_int4_64;
    case CHRONOS_INT4_128: return codec_int4_128;
    case CHRONOS_F16: return codec_f16;
    case CHRONOS_BF16: return codec_bf16;
    default: return (codec){NULL, NULL};
    }
}

/* Work is cut into tasks of so many weights that handing one out costs nothing beside it. */
enum { TASK_WEIGHTS = 1 << 16 };

typedef struct {
    codec codec;
    format format;
    size_t blocks, task_blocks; /* in all, and in a task */
    size_t rows, k, task_rows;  /* the same where rows are no whole blocks */
    const float *x;
    const uint8_t *packed;
    float *x_out;
    uint8_t *packed_out;
} conversion;

static void convert(void *context, size_t task) {
    const conversion *c = context;
    size_t start = task * c->task_blocks, left = c->blocks - start;
    size_t count = left < c->task_blocks ? left : c->task_blocks;
    size_t weight = start * c->format.weights, byte = start * c->format.bytes;
    if (c->packed_out)
        c->codec.quantize(c->x + weight, c->packed_out + byte, count);
    else
        c->codec.dequantize(c->packed + byte, c->x_out + weight, count);
}

/* A row whose last block is not full goes through a buffer there, in which zeros follow its weights. */
static void convert_row(const conversion *c, size_t row) {
    format f = c->format;
    size_t whole = c->k / f.weights, left = c->k % f.weights, byte = row * (whole + 1) * f.bytes;
    size_t weight = row * c->k, last = weight + whole * f.weights, last_byte = byte + whole * f.bytes;
    float ends[SUPER] = {0};
    if (c->packed_out) {
        memcpy(ends, c->x + last, left * sizeof(float));
        c->codec.quantize(c->x + weight, c->packed_out + byte, whole);
        c->codec.quantize(ends, c->packed_out + last_byte, 1);
    } else {
        c->codec.dequantize(c->packed + byte, c->x_out + weight, whole);
        c->codec.dequantize(c->packed + last_byte, ends, 1);
        memcpy(c->x_out + last, ends, left * sizeof(float));
    }
}

static void convert_rows(void *context, size_t task) {
    const conversion *c = context;
    size_t start = task * c->task_rows, end = start + c->task_rows;
    for (size_t row = start; row < end && row < c->rows; row++)
        convert_row(c, row);
}

static int convert_all(int type, conversion *c, size_t rows, size_t k) {
    c->format = format_of(type);
    c->codec = codec_of(type);
    if (!c->format.weights)
        return CHRONOS_BAD_TYPE;
    if (k % c->format.weights) {
        c->rows = rows, c->k = k, c->task_rows = TASK_WEIGHTS / k + 1;
        pool_run(convert_rows, c, (rows + c->task_rows - 1) / c->task_rows);
        return CHRONOS_OK;
    }
    c->blocks = rows * (k / c->format.weights);
    c->task_blocks = TASK_WEIGHTS / c->format.weights;
    pool_run(convert, c, (c->blocks + c->task_blocks - 1) / c->task_blocks);
    return CHRONOS_OK;
}

int chronos_quantize(int type, const float *w, size_t rows, size_t k, uint8_t *blocks) {
    conversion c = {.x = w, .packed_out = blocks};
    return convert_all(type, &c, rows, k);
}

int chronos_dequantize(int type, const uint8_t *blocks, size_t rows, size_t k, float *w) {
    conversion c = {.packed = blocks, .x_out = w};
    return convert_all(type, &c, rows, k);
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
