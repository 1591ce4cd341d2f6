/* Products with quantized weights for 64-bit ARM, written once: matmul_neon.c and matmul_neon_dot.c include this.
 * An ISA gives TARGET and dot4. Blocks as in files (chronos_native.h) and panels (products.h): of a panel a
 * vector holds four bytes of each of four rows, so nothing is added across it. x is quantized by the portable code.
 * Codes are made signed before they are multiplied, so that no bias counts: 8 or 128 less. */

#define INLINE TARGET static inline __attribute__((always_inline))
enum { LANES = 4, EIGHT = 8, QUARTER = 16 }; /* floats in a vector; rows worked on at once; bytes in a vector */

INLINE int8x16_t bytes16(const uint8_t *p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }
INLINE int8x16_t spread(const uint8_t *p) { return vreinterpretq_s8_s32(vdupq_n_s32(load_i32(p))); }
INLINE uint16x4_t halves(const uint8_t *p) { return vreinterpret_u16_u8(vld1_u8(p)); }
INLINE float32x4_t floats_of_halves(const uint8_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(halves(p))); }

/* `bits` bits of each byte, `shift` bits up; and of each 32-bit lane. */
INLINE int8x16_t part_of(int8x16_t bytes, int shift, int bits) {
    uint8x16_t moved = vshlq_u8(vreinterpretq_u8_s8(bytes), vdupq_n_s8((int8_t)-shift));
    return vreinterpretq_s8_u8(vandq_u8(moved, vdupq_n_u8((uint8_t)((1 << bits) - 1))));
}
INLINE int32x4_t nibble_of(int8x16_t lanes, int shift) {
    uint32x4_t moved = vshlq_u32(vreinterpretq_u32_s8(lanes), vdupq_n_s32(-shift));
    return vreinterpretq_s32_u32(vandq_u32(moved, vdupq_n_u32(15)));
}

/* ---- blocks ---- */

/* The sum over blocks, in order, of scale_w * scale_x * (integer dot product), in four lanes. */
INLINE float row_by_column(int type, const uint8_t *block, const x_group *groups, size_t blocks) {
    float32x4_t sum = vdupq_n_f32(0.0f);
    for (size_t i = 0; i < blocks; i++, block += block_bytes(type)) {
        const x_group *g = groups + i / GROUP;
        const int8_t *x = g->codes[i % GROUP];
        int8x16_t low = bytes16(block + 2), high;
        if (type == CHRONOS_Q8_0)
            high = bytes16(block + 2 + BLOCK / 2);
        else {
            high = vsubq_s8(part_of(low, 4, 4), vdupq_n_s8(8));
            low = vsubq_s8(part_of(low, 0, 4), vdupq_n_s8(8));
        }
        int32x4_t dot = dot4(dot4(vdupq_n_s32(0), low, vld1q_s8(x)), high, vld1q_s8(x + BLOCK / 2));
        float scale = float_of_half(load_half(block)) * g->scale[i % GROUP];
        sum = vfmaq_n_f32(sum, vcvtq_f32_s32(dot), scale);
    }
    return vaddvq_f32(sum);
}

INLINE void by_blocks(int type, const part *p) {
    size_t row_bytes = p->blocks * block_bytes(type), row_groups = groups_of(p->blocks * BLOCK);
    for (size_t r = 0; r < p->rows; r++)
        for (size_t c = 0; c < p->cols; c++)
            p->y[c * p->ldy + r] = row_by_column(type, p->w + r * row_bytes, p->groups + c * row_groups, p->blocks);
}

TARGET static void product_q4_0(const part *p) { by_blocks(CHRONOS_Q4_0, p); }
TARGET static void product_q8_0(const part *p) { by_blocks(CHRONOS_Q8_0, p); }

/* ---- panels ---- */

/* A quarter of the two panels: eight rows, of which `rows` are there. */
typedef struct {
    const uint8_t *panel;
    size_t lane, rows;
    float *y;
} eight;

INLINE eight eight_of(const panel_part *p, size_t i) {
    size_t before = i * EIGHT, rows = p->rows > before ? p->rows - before : 0;
    return (eight){p->panel[i / 2], i % 2 * EIGHT, rows < EIGHT ? rows : EIGHT, p->y + before};
}

typedef float32x4_t pair[2]; /* a float of each of eight rows */

INLINE void load(const panel_part *p, eight e, size_t cols, pair *sum) {
    for (size_t c = 0; c < cols; c++) {
        float lanes[EIGHT] = {0};
        if (p->more)
            memcpy(lanes, e.y + c * p->ldy, e.rows * sizeof(float));
        sum[c][0] = vld1q_f32(lanes), sum[c][1] = vld1q_f32(lanes + LANES);
    }
}

INLINE void store(const panel_part *p, eight e, size_t cols, const pair *sum) {
    for (size_t c = 0; c < cols; c++) {
        float lanes[EIGHT];
        vst1q_f32(lanes, sum[c][0]), vst1q_f32(lanes + LANES, sum[c][1]);
        memcpy(e.y + c * p->ldy, lanes, e.rows * sizeof(float));
    }
}

/* sum += dot * d * scale, for eight rows whose d lie at `d`. */
INLINE void add_scaled(const int32x4_t *dot, const uint8_t *d, float scale, float32x4_t *sum) {
    for (int v = 0; v < 2; v++) {
        float32x4_t both = vmulq_n_f32(floats_of_halves(d + v * 2 * LANES), scale);
        sum[v] = vfmaq_f32(sum[v], vcvtq_f32_s32(dot[v]), both);
    }
}

/* 32 weights of eight rows. */
INLINE void step32(int type, const uint8_t *w, const uint8_t *d, const uint8_t *x, size_t cols, pair *sum) {
    int32x4_t dot[COLS][2];
    for (size_t c = 0; c < cols; c++)
        dot[c][0] = dot[c][1] = vdupq_n_s32(0);
    for (int i = 0; i < 8; i++)
        for (int v = 0; v < 2; v++) {
            int8x16_t code = bytes16(w + (type == CHRONOS_Q8_0 ? i : i % 4) * LANES4 + v * QUARTER);
            code = type == CHRONOS_Q8_0 ? veorq_s8(code, vdupq_n_s8(-128))
                                        : vsubq_s8(part_of(code, i / 4 * 4, 4), vdupq_n_s8(8));
            for (size_t c = 0; c < cols; c++)
                dot[c][v] = dot4(dot[c][v], code, spread(x + c * BLOCK + 4 * i));
        }
    for (size_t c = 0; c < cols; c++)
        add_scaled(dot[c], d, load_f32(x + cols * BLOCK + c * 4), sum[c]);
}

INLINE void by_32(int type, const panel_part *p, size_t cols) {
    size_t codes = (type == CHRONOS_Q8_0 ? 8 : 4) * LANES4, step = LANES4 + 2 * codes, x_step = cols * XSTEP_BYTES;
    for (size_t e = 0; e < 4 && e * EIGHT < p->rows; e++) {
        eight rows = eight_of(p, e);
        const uint8_t *w = rows.panel + 4 * rows.lane, *d = rows.panel + 2 * rows.lane, *x = p->x;
        pair sum[COLS];
        load(p, rows, cols, sum);
        for (size_t i = 0; i < p->steps; i++, w += step, d += step, x += 2 * x_step) {
            step32(type, w + LANES4, d, x, cols, sum);
            step32(type, w + LANES4 + codes, d + 32, x + x_step, cols, sum);
        }
        store(p, rows, cols, sum);
    }
}

/* A super-block: the sixteens' dots times their scales, and the sixteens' sums times their minima. */
INLINE void super(const uint8_t *w, const uint8_t *x, size_t cols, int32x4_t (*dot)[2], int32x4_t (*min)[2]) {
    const uint8_t *codes = w + 5 * LANES4, *sums = x + cols * (SUPER + 4);
    for (size_t j = 0; j < 16; j++)
        for (size_t v = 0; v < 2; v++) {
            const uint8_t *four = codes + (j / 8 * 8 + j % 2 * 4) * LANES4 + v * QUARTER;
            int8x16_t both = bytes16(w + (1 + j / 4) * LANES4 + v * QUARTER), code[4];
            int32x4_t scale = nibble_of(both, (int)(j % 4) * 8), least = nibble_of(both, (int)(j % 4) * 8 + 4);
            for (int i = 0; i < 4; i++)
                code[i] = part_of(bytes16(four + i * LANES4), (int)(j % 8 / 2 * 2), 2);
            for (size_t c = 0; c < cols; c++) {
                const uint8_t *row = x + (j * cols + c) * 16;
                int32x4_t found = vdupq_n_s32(0);
                for (int i = 0; i < 4; i++)
                    found = dot4(found, code[i], spread(row + 4 * i));
                int16_t sum;
                memcpy(&sum, sums + ((j / 4 * 2 + j % 2) * cols + c) * 4 + j % 4 / 2 * 2, sizeof sum);
                dot[c][v] = vmlaq_s32(dot[c][v], found, scale);
                min[c][v] = vmlaq_n_s32(min[c][v], least, sum);
            }
        }
}

INLINE void by_256(const panel_part *p, size_t cols) {
    size_t step = panel_step_bytes(CHRONOS_Q2_K);
    for (size_t e = 0; e < 4 && e * EIGHT < p->rows; e++) {
        eight rows = eight_of(p, e);
        const uint8_t *w = rows.panel + 4 * rows.lane, *d = rows.panel + 2 * rows.lane, *x = p->x;
        pair sum[COLS];
        load(p, rows, cols, sum);
        for (size_t i = 0; i < p->steps; i++, w += step, d += step, x += cols * XSUPER_BYTES) {
            int32x4_t dot[COLS][2], min[COLS][2];
            for (size_t c = 0; c < cols; c++)
                dot[c][0] = dot[c][1] = min[c][0] = min[c][1] = vdupq_n_s32(0);
            super(w, x, cols, dot, min);
            for (size_t c = 0; c < cols; c++) {
                float scale = load_f32(x + cols * SUPER + c * 4);
                add_scaled(dot[c], d, scale, sum[c]);
                add_scaled(min[c], d + 32, -scale, sum[c]);
            }
        }
        store(p, rows, cols, sum);
    }
}

INLINE void by_2(const panel_part *p, size_t cols) {
    for (size_t e = 0; e < 4 && e * EIGHT < p->rows; e++) {
        eight rows = eight_of(p, e);
        const uint8_t *w = rows.panel + 2 * rows.lane, *x = p->x;
        pair sum[COLS];
        load(p, rows, cols, sum);
        for (size_t i = 0; i < 2 * p->steps; i++, w += 32, x += cols * 4)
            for (int v = 0; v < 2; v++) {
                float32x4_t weights = floats_of_halves(w + v * 2 * LANES);
                for (size_t c = 0; c < cols; c++)
                    sum[c][v] = vfmaq_n_f32(sum[c][v], weights, load_f32(x + c * 4));
            }
        store(p, rows, cols, sum);
    }
}

INLINE void by_pairs(const panel_part *p, size_t cols) {
    for (size_t e = 0; e < 4 && e * EIGHT < p->rows; e++) {
        eight rows = eight_of(p, e);
        const uint8_t *w = rows.panel + 4 * rows.lane, *x = p->x;
        pair sum[COLS];
        load(p, rows, cols, sum);
        for (size_t i = 0; i < p->steps; i++, w += LANES4, x += cols * 4)
            for (int v = 0; v < 2; v++) {
                uint32x4_t pairs = vreinterpretq_u32_u8(vld1q_u8(w + v * 4 * LANES));
                float32x4_t first = vreinterpretq_f32_u32(vshlq_n_u32(pairs, 16));
                float32x4_t second = vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(HIGH_HALF)));
                for (size_t c = 0; c < cols; c++) {
                    uint32_t two = (uint32_t)load_i32(x + c * 4);
                    sum[c][v] = vfmaq_n_f32(sum[c][v], first, float_of_bits(two << 16));
                    sum[c][v] = vfmaq_n_f32(sum[c][v], second, float_of_bits(two & HIGH_HALF));
                }
            }
        store(p, rows, cols, sum);
    }
}

EACH_COLS(TARGET, q4_0, by_32(CHRONOS_Q4_0, p, N))
EACH_COLS(TARGET, q8_0, by_32(CHRONOS_Q8_0, p, N))
EACH_COLS(TARGET, q2_k, by_256(p, N))
EACH_COLS(TARGET, f16, by_2(p, N))
EACH_COLS(TARGET, bf16, by_pairs(p, N))

TARGET static void accumulate(const float *g, size_t ldg, size_t b, const float *w, size_t rows, float *y) {
    enum { SUMS = 8 };
    for (size_t c = 0; c < b; c++)
        for (size_t i = 0; i < BACK_COLS; i += SUMS * LANES) {
            float32x4_t sum[SUMS];
            float *to = y + c * BACK_COLS + i;
            for (int j = 0; j < SUMS; j++)
                sum[j] = vld1q_f32(to + j * LANES);
            for (size_t r = 0; r < rows; r++)
                for (int j = 0; j < SUMS; j++)
                    sum[j] = vfmaq_n_f32(sum[j], vld1q_f32(w + r * BACK_COLS + i + j * LANES), g[c * ldg + r]);
            for (int j = 0; j < SUMS; j++)
                vst1q_f32(to + j * LANES, sum[j]);
        }
}

#define PANELS {portable_prepare, portable_prepare_super, q4_0, q8_0, q2_k, f16, bf16, accumulate}
#define ISA(name, panels) {name, portable_quantize_x, product_q4_0, product_q8_0, panels}
