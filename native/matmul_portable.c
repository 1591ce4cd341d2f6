/* The kernels of the product in plain C, for any machine.
 * What every other ISA is checked against and what a CPU without one of those runs; not meant to be fast,
 * though compilers vectorize the inner loops. */
#include "chronos_native.h"

#include <math.h>

/* Rounds |v| < 2^22 to the nearest integer, ties to even, as vector units do: adding 1.5 * 2^23 leaves no
 * bits for a fraction. Holds while floating point is strict (no -ffast-math) and in its default mode. */
static inline int round_to_even(float v) { return (int)float_bits(v + 0x1.8p23f) - 0x4b400000; }

static void quantize_block(const float *x, int8_t *codes, float *scale, float *offset) {
    uint32_t bits = 0; /* of max|x|: integers order them like the floats, NaN above infinity above the rest */
    for (int i = 0; i < BLOCK; i++) {
        uint32_t a = float_bits(x[i]) & 0x7fffffff;
        bits = a > bits ? a : bits;
    }
    float max = float_of_bits(bits), id = 127.0f / max;
    memset(codes, 0, BLOCK);
    *scale = *offset = bits >= 0x7f800000 ? NAN : 0.0f;
    if (bits >= 0x7f800000 || max < TINY)
        return;
    int sum = 0;
    for (int i = 0; i < BLOCK; i++) {
        codes[i] = (int8_t)round_to_even(x[i] * id);
        sum += codes[i];
    }
    *scale = max / 127.0f;
    *offset = *scale * (float)(-8 * sum);
}

void portable_quantize_x(const float *x, size_t k, x_group *groups) {
    size_t blocks = k / BLOCK;
    for (size_t i = 0; i < groups_of(k) * GROUP; i++) {
        static const float zeros[BLOCK];
        x_group *g = groups + i / GROUP;
        size_t j = i % GROUP;
        quantize_block(i < blocks ? x + i * BLOCK : zeros, g->codes[j], &g->scale[j], &g->offset[j]);
    }
}

static inline int dot(const int8_t *a, const int8_t *b) {
    int sum = 0;
    for (int i = 0; i < BLOCK; i++)
        sum += a[i] * b[i];
    return sum;
}

static inline void unpack(int type, const uint8_t *packed, int8_t *q) {
    if (type == CHRONOS_Q8_0) {
        memcpy(q, packed, BLOCK);
        return;
    }
    for (int i = 0; i < BLOCK / 2; i++) {
        q[i] = (int8_t)((packed[i] & 15) - 8);
        q[i + 16] = (int8_t)((packed[i] >> 4) - 8);
    }
}

/* Every output by itself: the sum over blocks, in order, of scale_w * scale_x * (integer dot product). */
static inline void product(int type, const part *p) {
    size_t size = block_bytes(type), row_groups = groups_of(p->blocks * BLOCK);
    for (size_t r = 0; r < p->rows; r++)
        for (size_t c = 0; c < p->cols; c++) {
            float sum = 0.0f;
            for (size_t i = 0; i < p->blocks; i++) {
                const uint8_t *block = p->w + (r * p->blocks + i) * size;
                const x_group *g = p->groups + c * row_groups + i / GROUP;
                int8_t q[BLOCK];
                unpack(type, block + 2, q);
                float scale = float_of_half(load_half(block)) * g->scale[i % GROUP];
                sum += scale * (float)dot(q, g->codes[i % GROUP]);
            }
            p->y[c * p->ldy + r] = sum;
        }
}

static void product_q4_0(const part *p) { product(CHRONOS_Q4_0, p); }
static void product_q8_0(const part *p) { product(CHRONOS_Q8_0, p); }

const isa_table isa_portable = {"portable", portable_quantize_x, product_q4_0, product_q8_0, NULL};
