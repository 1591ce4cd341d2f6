/* The kernels of the scan for 64-bit ARM, written once: scan_neon.c and scan_neon_dot.c include this.
 * What each does is said in scan.h; neon.h gives TARGET and dot4. */

enum { LANES = 4, STEP = 16 }; /* numbers of a key that are taken together */

/* Numbers i ... of a key, `size` bytes each; the rest of the last step is 0 and comes from `room`. */
TARGET static inline const uint8_t *step_of(const uint8_t *key, size_t i, size_t width, size_t size, uint8_t *room) {
    if (i + STEP <= width)
        return key + i * size;
    memset(room, 0, STEP * size);
    return memcpy(room, key + i * size, (width - i) * size);
}

TARGET static void int8_scores(const int8_t *keys, size_t stride, size_t rows, size_t width, const int8_t *query,
                               int32_t *scores) {
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *key = (const uint8_t *)keys + r * stride;
        uint8_t room[STEP];
        int32x4_t sum = vdupq_n_s32(0);
        for (size_t i = 0; i < width; i += STEP) {
            int8x16_t part = vreinterpretq_s8_u8(vld1q_u8(step_of(key, i, width, 1, room)));
            sum = dot4(sum, part, vld1q_s8(query + i));
        }
        scores[r] = vaddvq_s32(sum);
    }
}

/* Lanes of four vectors: 0 ... 3, 4 ... 7, 8 ... 11, 12 ... 15. */
TARGET static void bf16_scores(const uint8_t *keys, size_t stride, size_t rows, size_t width, const float *query,
                               float *scores) {
    for (size_t r = 0; r < rows; r++) {
        uint8_t room[2 * STEP];
        float32x4_t sum[4] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f), vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
        for (size_t i = 0; i < width; i += STEP) {
            const uint8_t *part = step_of(keys + r * stride, i, width, 2, room);
            for (size_t v = 0; v < 4; v++) {
                uint16x4_t bits = vreinterpret_u16_u8(vld1_u8(part + v * 2 * LANES));
                float32x4_t key = vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
                sum[v] = vaddq_f32(sum[v], vmulq_f32(key, vld1q_f32(query + i + v * LANES)));
            }
        }
        float32x4_t four = vaddq_f32(vaddq_f32(sum[0], sum[2]), vaddq_f32(sum[1], sum[3]));
        float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        scores[r] = vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
    }
}

/* Sixteen scores are looked at together, and one by one only if one of them is high enough. */
TARGET static size_t above(const int32_t *scores, size_t rows, int32_t floor, uint16_t *places) {
    const int32x4_t least = vdupq_n_s32(floor);
    size_t n = 0;
    for (size_t r = 0; r < rows; r += STEP) {
        size_t end = rows - r < STEP ? rows : r + STEP;
        if (end == r + STEP) {
            int32x4_t low = vmaxq_s32(vld1q_s32(scores + r), vld1q_s32(scores + r + LANES));
            int32x4_t high = vmaxq_s32(vld1q_s32(scores + r + 2 * LANES), vld1q_s32(scores + r + 3 * LANES));
            if (!vmaxvq_u32(vcgeq_s32(vmaxq_s32(low, high), least)))
                continue;
        }
        for (size_t i = r; i < end; i++)
            if (scores[i] >= floor)
                places[n++] = (uint16_t)i;
    }
    return n;
}
