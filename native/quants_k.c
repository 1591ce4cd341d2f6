/* Weights to blocks of Q2_K, llama.cpp's two bits a weight, and back.
 * The layout is llama.cpp's; which scales and codes are taken for some weights is ours: the search below is for
 * the least squared error. plain_types.py does the same in the same order, so that bytes are equal; build with
 * -ffp-contract=off. Every array is [sixteen], for compilers to vectorize over the 16 sixteens. */
#include "products.h"

#include <math.h>

enum { SIXTEENS = 16, STEPS = 16, MAX_CODE = 3, MAX_SCALE = 15 };
typedef float lanes[SIXTEENS];

static inline float clamp(float v, float high) { /* a NaN becomes 0 */
    v = v > 0.0f ? v : 0.0f;
    return v < high ? v : high;
}

static inline float code_of(float v) { return (float)(int)(clamp(v, MAX_CODE) + 0.5f); }

/* The scale and the offset (at most 0) of each sixteen that leave the least squared error: codes are guessed
 * from a scale near (max - min) / 3, then scale and offset are fitted to them by least squares. */
static void fit(const lanes x[16], lanes scale, lanes offset) {
    lanes low, width, best;
    for (int j = 0; j < SIXTEENS; j++) {
        float min = x[0][j], max = x[0][j];
        for (int i = 1; i < 16; i++) {
            min = x[i][j] < min ? x[i][j] : min;
            max = x[i][j] > max ? x[i][j] : max;
        }
        low[j] = min < 0.0f ? min : 0.0f;
        width[j] = max - low[j];
        scale[j] = offset[j] = 0.0f;
        best[j] = INFINITY;
    }
    for (int step = 0; step < STEPS; step++) {
        lanes l1 = {0}, l2 = {0}, x1 = {0}, xl = {0}, error = {0}, inverse, s, o;
        for (int j = 0; j < SIXTEENS; j++)
            inverse[j] = width[j] > 0.0f ? (2.5f + 0.1f * (float)step) / width[j] : 0.0f;
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < SIXTEENS; j++) {
                float l = code_of((x[i][j] - low[j]) * inverse[j]);
                l1[j] += l;
                l2[j] += l * l;
                x1[j] += x[i][j];
                xl[j] += x[i][j] * l;
            }
        for (int j = 0; j < SIXTEENS; j++) {
            float det = 16.0f * l2[j] - l1[j] * l1[j];
            float fitted = (l2[j] * x1[j] - l1[j] * xl[j]) / (det > 0.0f ? det : 1.0f);
            int free = det > 0.0f && fitted < 0.0f;
            o[j] = det > 0.0f ? (free ? fitted : 0.0f) : low[j]; /* all codes alike: they are 0 */
            s[j] = free ? (16.0f * xl[j] - x1[j] * l1[j]) / det : l2[j] > 0.0f ? xl[j] / l2[j] : 0.0f;
            s[j] = s[j] > 0.0f ? s[j] : 0.0f;
        }
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < SIXTEENS; j++) {
                float l = code_of((x[i][j] - low[j]) * inverse[j]), off = s[j] * l + o[j] - x[i][j];
                error[j] += off * off;
            }
        for (int j = 0; j < SIXTEENS; j++)
            if (error[j] < best[j])
                best[j] = error[j], scale[j] = s[j], offset[j] = o[j];
    }
}

/* Scales and minima as multiples of d and dmin: of those next to the fitted ones, the pair of least error. */
static void choose(const lanes x[16], const lanes scale, const lanes offset, float d, float dmin, lanes sc,
                   lanes m) {
    lanes best, sc0, m0;
    for (int j = 0; j < SIXTEENS; j++) {
        best[j] = INFINITY;
        sc[j] = m[j] = 0.0f;
        sc0[j] = d > 0.0f ? (float)(int)(clamp(scale[j] / d, MAX_SCALE) + 0.5f) : 0.0f;
        m0[j] = dmin > 0.0f ? (float)(int)(clamp(-offset[j] / dmin, MAX_SCALE) + 0.5f) : 0.0f;
    }
    for (int t = 0; t < 9; t++) {
        lanes a, b, s, o, inverse, error = {0};
        for (int j = 0; j < SIXTEENS; j++) {
            a[j] = clamp(sc0[j] + (float)(t / 3 - 1), MAX_SCALE);
            b[j] = clamp(m0[j] + (float)(t % 3 - 1), MAX_SCALE);
            s[j] = d * a[j];
            o[j] = dmin * b[j];
            inverse[j] = s[j] > 0.0f ? 1.0f / s[j] : 0.0f;
        }
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < SIXTEENS; j++) {
                float off = s[j] * code_of((x[i][j] + o[j]) * inverse[j]) - o[j] - x[i][j];
                error[j] += off * off;
            }
        for (int j = 0; j < SIXTEENS; j++)
            if (error[j] < best[j])
                best[j] = error[j], sc[j] = a[j], m[j] = b[j];
    }
}

/* A multiple's unit as a half, at most the largest; and what that half is, 2^-power of it. */
static float store_unit(uint8_t *out, float unit, int power) {
    float d = ldexpf(unit, power);
    uint16_t half = half_of_float(d < 65504.0f ? d : 65504.0f);
    store_half(out, half);
    return ldexpf(float_of_half(half), -power);
}

/* All is done on x * 2^-power, at most 1, where squares neither overflow nor vanish. */
static void quantize_block(const float *in, uint8_t *out) {
    lanes x[16], scale, offset, sc, m;
    float amax = 0.0f, most = 0.0f, least = 0.0f;
    int power = 0;
    for (int i = 0; i < SUPER; i++)
        amax = fabsf(in[i]) > amax ? fabsf(in[i]) : amax;
    memset(out, 0, Q2_K_BYTES);
    if (!(amax > 0.0f && amax < INFINITY))
        return;
    frexpf(amax, &power);
    for (int i = 0; i < SUPER; i++)
        x[i % 16][i / 16] = ldexpf(in[i], -power);
    fit((const lanes *)x, scale, offset);
    for (int j = 0; j < SIXTEENS; j++) {
        most = scale[j] > most ? scale[j] : most;
        least = offset[j] < least ? offset[j] : least;
    }
    float d = store_unit(out + 80, most / MAX_SCALE, power);
    float dmin = store_unit(out + 82, -least / MAX_SCALE, power);
    choose((const lanes *)x, scale, offset, d, dmin, sc, m);
    for (int j = 0; j < SIXTEENS; j++) {
        float s = d * sc[j], inverse = s > 0.0f ? 1.0f / s : 0.0f;
        out[j] = (uint8_t)((int)sc[j] | (int)m[j] << 4);
        for (int i = 0; i < 16; i++) {
            int code = (int)code_of((x[i][j] + dmin * m[j]) * inverse);
            out[16 + j / 8 * 32 + j % 2 * 16 + i] |= (uint8_t)(code << j % 8 / 2 * 2);
        }
    }
}

static void dequantize_block(const uint8_t *block, float *x) {
    float d = float_of_half(load_half(block + 80)), dmin = float_of_half(load_half(block + 82));
    for (int j = 0; j < SIXTEENS; j++) {
        float scale = d * (float)(block[j] & 15), min = dmin * (float)(block[j] >> 4);
        const uint8_t *codes = block + 16 + j / 8 * 32 + j % 2 * 16;
        for (int i = 0; i < 16; i++)
            x[16 * j + i] = scale * (float)(codes[i] >> j % 8 / 2 * 2 & 3) - min;
    }
}

static void quantize(const float *x, uint8_t *blocks, size_t count) {
    for (size_t i = 0; i < count; i++)
        quantize_block(x + i * SUPER, blocks + i * Q2_K_BYTES);
}

static void dequantize(const uint8_t *blocks, float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        dequantize_block(blocks + i * Q2_K_BYTES, x + i * SUPER);
}

const codec codec_q2_k = {quantize, dequantize};
