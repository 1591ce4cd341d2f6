/* Products with panels in plain C, for any machine: what the other ISAs are checked against.
 * Not meant to be fast, though the loops over 16 rows are what compilers vectorize. */
#include "products.h"

#include <math.h>

/* As in matmul_portable.c: to the nearest integer, ties to even. */
static inline int round_to_even(float v) { return (int)float_bits(v + 0x1.8p23f) - 0x4b400000; }

/* n values to codes; the scale is returned. */
static float quantize(const float *x, size_t n, int8_t *codes) {
    uint32_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t a = float_bits(x[i]) & 0x7fffffff;
        bits = a > bits ? a : bits;
    }
    float max = float_of_bits(bits), id = 127.0f / max;
    memset(codes, 0, n);
    if (bits >= 0x7f800000 || max < TINY)
        return bits >= 0x7f800000 ? NAN : 0.0f;
    for (size_t i = 0; i < n; i++)
        codes[i] = (int8_t)round_to_even(x[i] * id);
    return max / 127.0f;
}

static int sum_of(const int8_t *codes, size_t n) {
    int sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += codes[i];
    return sum;
}

void portable_prepare(const float *x, size_t ldx, size_t cols, size_t k, int zero, uint8_t *out) {
    static const float zeros[BLOCK];
    size_t steps = panel_steps(CHRONOS_Q4_0, k) * 2, step = cols * XSTEP_BYTES;
    for (size_t c = 0; c < cols; c++)
        for (size_t i = 0; i < steps; i++) {
            uint8_t *to = out + i * step;
            int8_t *codes = (int8_t *)to + c * BLOCK;
            float scale = quantize(i * BLOCK < k ? x + c * ldx + i * BLOCK : zeros, BLOCK, codes);
            int32_t bias = -zero * sum_of(codes, BLOCK);
            memcpy(to + cols * BLOCK + c * 4, &scale, 4);
            memcpy(to + cols * (BLOCK + 4) + c * 4, &bias, 4);
        }
}

void portable_prepare_super(const float *x, size_t ldx, size_t cols, size_t k, int zero, uint8_t *out) {
    (void)zero;
    for (size_t c = 0; c < cols; c++)
        for (size_t i = 0; i < k / SUPER; i++) {
            uint8_t *to = out + i * cols * XSUPER_BYTES;
            int8_t codes[SUPER];
            float scale = quantize(x + c * ldx + i * SUPER, SUPER, codes);
            memcpy(to + cols * SUPER + c * 4, &scale, 4);
            for (size_t j = 0; j < 16; j++) {
                int16_t sum = (int16_t)sum_of(codes + 16 * j, 16);
                size_t pair = j / 4 * 2 + j % 2;
                memcpy(to + (j * cols + c) * 16, codes + 16 * j, 16);
                memcpy(to + cols * (SUPER + 4) + (pair * cols + c) * 4 + j % 4 / 2 * 2, &sum, 2);
            }
        }
}

/* dot[r] += four codes of each row, `shift` bits up in their bytes, by four of x. */
static inline void dot4(const uint8_t *w, int shift, int mask, const uint8_t *x, int *dot) {
    const int8_t *codes = (const int8_t *)x;
    for (int r = 0; r < PANEL; r++)
        for (int i = 0; i < 4; i++)
            dot[r] += (w[4 * r + i] >> shift & mask) * codes[i];
}

static inline void step32(int type, const uint8_t *w, const uint8_t *d, const uint8_t *x, size_t c,
                          size_t cols, float *sum) {
    float scale = load_f32(x + cols * BLOCK + c * 4);
    int dot[PANEL], bias = load_i32(x + cols * (BLOCK + 4) + c * 4);
    for (int r = 0; r < PANEL; r++)
        dot[r] = bias;
    for (int i = 0; i < 8; i++)
        if (type == CHRONOS_Q8_0)
            dot4(w + i * LANES4, 0, 255, x + c * BLOCK + 4 * i, dot);
        else
            dot4(w + i % 4 * LANES4, i / 4 * 4, 15, x + c * BLOCK + 4 * i, dot);
    for (int r = 0; r < PANEL; r++)
        sum[r] += float_of_half(load_half(d + 2 * r)) * scale * (float)dot[r];
}

/* The sums of panel i and row c of x: where they stand, and how many. */
static size_t place(const panel_part *p, int i, size_t c, float **y) {
    size_t rows = p->rows > (size_t)i * PANEL ? p->rows - (size_t)i * PANEL : 0;
    *y = p->y + c * p->ldy + i * PANEL;
    return rows < PANEL ? rows : PANEL;
}

static void load(const panel_part *p, int i, size_t c, float *sum) {
    float *y;
    size_t rows = place(p, i, c, &y);
    for (size_t r = 0; r < PANEL; r++)
        sum[r] = p->more && r < rows ? y[r] : 0.0f;
}

static void store(const panel_part *p, int i, size_t c, const float *sum) {
    float *y;
    size_t rows = place(p, i, c, &y);
    memcpy(y, sum, rows * sizeof(float));
}

static inline void by_32(int type, const panel_part *p, size_t cols) {
    size_t codes = (type == CHRONOS_Q8_0 ? 8 : 4) * LANES4, x_step = cols * XSTEP_BYTES;
    for (size_t j = 0; j < 2 * cols; j++) {
        const uint8_t *w = p->panel[j % 2], *x = p->x;
        float sum[PANEL];
        load(p, j % 2, j / 2, sum);
        for (size_t i = 0; i < p->steps; i++, w += LANES4 + 2 * codes, x += 2 * x_step) {
            step32(type, w + LANES4, w, x, j / 2, cols, sum);
            step32(type, w + LANES4 + codes, w + 32, x + x_step, j / 2, cols, sum);
        }
        store(p, j % 2, j / 2, sum);
    }
}

static void q4_0(const panel_part *p, size_t cols) { by_32(CHRONOS_Q4_0, p, cols); }
static void q8_0(const panel_part *p, size_t cols) { by_32(CHRONOS_Q8_0, p, cols); }

/* A super-block: the sixteens' dots times their scales, less the minima times the sixteens' sums. */
static void super(const uint8_t *w, const uint8_t *x, size_t c, size_t cols, float *sum) {
    const uint8_t *scales = w + LANES4, *codes = scales + 4 * LANES4, *sums = x + cols * (SUPER + 4);
    int total[PANEL] = {0}, min[PANEL] = {0};
    for (int j = 0; j < 16; j++) {
        const uint8_t *row = x + ((size_t)j * cols + c) * 16;
        int dot[PANEL] = {0};
        int16_t codes_sum;
        memcpy(&codes_sum, sums + ((size_t)(j / 4 * 2 + j % 2) * cols + c) * 4 + j % 4 / 2 * 2, 2);
        for (int i = 0; i < 4; i++)
            dot4(codes + (j / 8 * 8 + j % 2 * 4 + i) * LANES4, j % 8 / 2 * 2, 3, row + 4 * i, dot);
        for (int r = 0; r < PANEL; r++) {
            uint8_t both = scales[j / 4 * LANES4 + 4 * r + j % 4];
            total[r] += dot[r] * (both & 15);
            min[r] += codes_sum * (both >> 4);
        }
    }
    float scale = load_f32(x + cols * SUPER + c * 4);
    for (int r = 0; r < PANEL; r++) {
        sum[r] += float_of_half(load_half(w + 2 * r)) * scale * (float)total[r];
        sum[r] -= float_of_half(load_half(w + 32 + 2 * r)) * scale * (float)min[r];
    }
}

static void q2_k(const panel_part *p, size_t cols) {
    for (size_t j = 0; j < 2 * cols; j++) {
        const uint8_t *w = p->panel[j % 2], *x = p->x;
        float sum[PANEL];
        load(p, j % 2, j / 2, sum);
        for (size_t i = 0; i < p->steps; i++, w += panel_step_bytes(CHRONOS_Q2_K), x += cols * XSUPER_BYTES)
            super(w, x, j / 2, cols, sum);
        store(p, j % 2, j / 2, sum);
    }
}

static void f16(const panel_part *p, size_t cols) {
    for (size_t j = 0; j < 2 * cols; j++) {
        float sum[PANEL];
        load(p, j % 2, j / 2, sum);
        for (size_t i = 0; i < 2 * p->steps; i++)
            for (int r = 0; r < PANEL; r++) {
                float w = float_of_half(load_half(p->panel[j % 2] + i * 32 + 2 * r));
                sum[r] += w * load_f32(p->x + (i * cols + j / 2) * 4);
            }
        store(p, j % 2, j / 2, sum);
    }
}

static void bf16(const panel_part *p, size_t cols) {
    for (size_t j = 0; j < 2 * cols; j++) {
        float sum[PANEL];
        load(p, j % 2, j / 2, sum);
        for (size_t i = 0; i < p->steps; i++) {
            uint32_t x = (uint32_t)load_i32(p->x + (i * cols + j / 2) * 4);
            for (int r = 0; r < PANEL; r++) {
                uint32_t w = (uint32_t)load_i32(p->panel[j % 2] + i * LANES4 + 4 * r);
                sum[r] += float_of_bits(w << 16) * float_of_bits(x << 16);
                sum[r] += float_of_bits(w & HIGH_HALF) * float_of_bits(x & HIGH_HALF);
            }
        }
        store(p, j % 2, j / 2, sum);
    }
}

static void accumulate(const float *g, size_t ldg, size_t b, const float *w, size_t rows, float *y) {
    for (size_t c = 0; c < b; c++)
        for (size_t r = 0; r < rows; r++)
            for (size_t i = 0; i < BACK_COLS; i++)
                y[c * BACK_COLS + i] += g[c * ldg + r] * w[r * BACK_COLS + i];
}

const panel_table panels_portable = {portable_prepare, portable_prepare_super, q4_0, q8_0, q2_k, f16, bf16,
                                     accumulate};
