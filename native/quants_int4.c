/* Weights to INT4 (ours: symmetric, in groups of 32, 64 or 128), F16 and BF16, and back.
 * products.h draws INT4's blocks; the other two are one number after another, rounded to nearest, ties to
 * even. Build with -ffp-contract=off, as quants.c. */
#include "products.h"

#include <math.h>

/* d = max|w| / 7 as a half, at most the largest one; code = w / d rounded, halves up, by the d in the block. */
static inline void quantize_group(const float *x, size_t group, uint8_t *out) {
    float amax = 0.0f;
    for (size_t i = 0; i < group; i++)
        amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax;
    uint16_t half = half_of_float(amax < 7.0f * 65504.0f ? amax / 7.0f : 65504.0f);
    float d = float_of_half(half), inverse = d > 0.0f ? 1.0f / d : 0.0f;
    store_half(out, half);
    for (size_t i = 0; i < group; i += BLOCK)
        for (size_t j = 0; j < BLOCK / 2; j++) {
            float low = x[i + j] * inverse, high = x[i + j + 16] * inverse;
            low = low > -7.0f ? low < 7.0f ? low : 7.0f : -7.0f;
            high = high > -7.0f ? high < 7.0f ? high : 7.0f : -7.0f;
            out[2 + i / 2 + j] = (uint8_t)((int)(low + 8.5f) | (int)(high + 8.5f) << 4);
        }
}

static inline void dequantize_group(const uint8_t *block, size_t group, float *x) {
    float d = float_of_half(load_half(block));
    for (size_t i = 0; i < group; i += BLOCK)
        for (size_t j = 0; j < BLOCK / 2; j++) {
            x[i + j] = d * (float)((block[2 + i / 2 + j] & 15) - 8);
            x[i + j + 16] = d * (float)((block[2 + i / 2 + j] >> 4) - 8);
        }
}

#define INT4(group)                                                                                       \
    static void quantize_##group(const float *x, uint8_t *blocks, size_t count) {                         \
        for (size_t i = 0; i < count; i++)                                                                \
            quantize_group(x + i * group, group, blocks + i * (2 + group / 2));                           \
    }                                                                                                     \
    static void dequantize_##group(const uint8_t *blocks, float *x, size_t count) {                       \
        for (size_t i = 0; i < count; i++)                                                                \
            dequantize_group(blocks + i * (2 + group / 2), group, x + i * group);                         \
    }                                                                                                     \
    const codec codec_int4_##group = {quantize_##group, dequantize_##group};
INT4(32)
INT4(64)
INT4(128)

static void quantize_f16(const float *x, uint8_t *out, size_t count) {
    for (size_t i = 0; i < count; i++)
        store_half(out + 2 * i, half_of_float(x[i]));
}

static void dequantize_f16(const uint8_t *in, float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        x[i] = float_of_half(load_half(in + 2 * i));
}

static void quantize_bf16(const float *x, uint8_t *out, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t u = float_bits(x[i]);
        store_half(out + 2 * i, (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16));
    }
}

static void dequantize_bf16(const uint8_t *in, float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        x[i] = float_of_bits((uint32_t)load_half(in + 2 * i) << 16);
}

const codec codec_f16 = {quantize_f16, dequantize_f16}, codec_bf16 = {quantize_bf16, dequantize_bf16};
