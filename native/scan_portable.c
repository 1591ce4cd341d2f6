/* The kernels of the scan in plain C, for any machine, and what they are on every ISA: scan.h says it.
 * Scores only; who is kept is decided in scan.c. */
#include "scan.h"

static void int8_scores(const int8_t *keys, size_t stride, size_t rows, size_t width, const int8_t *query,
                        int32_t *scores) {
    for (size_t r = 0; r < rows; r++, keys += stride) {
        int32_t sum = 0;
        for (size_t i = 0; i < width; i++)
            sum += keys[i] * query[i];
        scores[r] = sum;
    }
}

static void bf16_scores(const uint8_t *keys, size_t stride, size_t rows, size_t width, const float *query,
                        float *scores) {
    for (size_t r = 0; r < rows; r++, keys += stride) {
        float lanes[16] = {0};
        for (size_t i = 0; i < width; i++)
            lanes[i % 16] += float_of_bf16(keys + 2 * i) * query[i];
        for (size_t half = 8; half; half /= 2)
            for (size_t j = 0; j < half; j++)
                lanes[j] += lanes[j + half];
        scores[r] = lanes[0];
    }
}

static size_t above(const int32_t *scores, size_t rows, int32_t floor, uint16_t *places) {
    size_t n = 0;
    for (size_t r = 0; r < rows; r++)
        if (scores[r] >= floor)
            places[n++] = (uint16_t)r;
    return n;
}

const scan_kernels scan_portable = {"portable", int8_scores, bf16_scores, above};
