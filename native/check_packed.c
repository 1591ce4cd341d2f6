/* Checks of packed products in C alone, to be run under sanitizers.
 * Every format and ISA on odd sizes, in buffers that end where the data ends: panels and back, the product against
 * sums in double, the way back, several threads. Not part of the extension.
 * Run with `make -C native sanitize`; check_kernels.py is its counterpart for the built extension. */
#include "check.h"
#include "products.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void fail(const char *what, int type, size_t n, size_t k, size_t b) {
    const char *isa = chronos_isa_name();
    fprintf(stderr, "FAILED: %s (%s, type %d, n %zu, k %zu, b %zu)\n", what, isa, type, n, k, b);
    exit(1);
}

/* y against the sums of w by x, where x (rounded to 8 bits by up to 256 values) may be off by 1/254 of its range. */
static void check_sums(const char *what, int type, const float *w, size_t n, size_t k, const float *x, size_t b,
                       const float *y, int back, double rounding) {
    for (size_t c = 0; c < b; c++)
        for (size_t o = 0; o < (back ? k : n); o++) {
            double sum = 0, magnitude = 0, weights = 0;
            for (size_t i = 0; i < (back ? n : k); i++) {
                double weight = back ? w[i * k + o] : w[o * k + i], value = x[c * (back ? n : k) + i];
                sum += weight * value;
                magnitude += fabs(weight * value);
                weights += fabs(weight);
            }
            double bound = 0x1p-18 * magnitude + rounding * weights;
            if (!(fabs(y[c * (back ? k : n) + o] - sum) <= bound + 1e-3 * rounding * (double)k))
                fail(what, type, n, k, b);
        }
}

static void check_one(int type, size_t n, size_t k, size_t b) {
    size_t bytes = n * row_bytes(type, k), size = chronos_packed_bytes(type, n, k);
    uint8_t *blocks = malloc(bytes), *again = malloc(bytes), *panels = malloc(size);
    float *w = floats(n * k), *x = floats(b * k), *g = floats(b * n), *y = malloc(b * n * 4), *y2 = malloc(b * n * 4);
    float *dx = malloc(b * k * sizeof(float));
    int64_t *rows = malloc(n * sizeof *rows);
    if (chronos_quantize(type, w, n, k, blocks) || chronos_dequantize(type, blocks, n, k, w))
        fail("quantize refused", type, n, k, b);
    for (size_t i = 0; i < n; i++)
        rows[i] = (int64_t)i;
    if (chronos_pack(type, blocks, n, k, panels) || chronos_unpack_rows(type, panels, k, rows, n, again))
        fail("pack refused", type, n, k, b);
    if (memcmp(blocks, again, bytes))
        fail("pack and back", type, n, k, b);
    double rounding = type == CHRONOS_F16 ? 0.0 : type == CHRONOS_BF16 ? 0x1p-9 : 1.0 / 254;
    chronos_set_threads(1);
    if (chronos_matmul_packed(type, panels, n, k, x, b, y) || chronos_back(type, blocks, n, k, g, b, dx))
        fail("product refused", type, n, k, b);
    check_sums("product", type, w, n, k, x, b, y, 0, rounding);
    if (type == CHRONOS_Q4_0 || type == CHRONOS_Q8_0) {
        if (chronos_matmul(type, blocks, n, k, x, b, y2))
            fail("product of blocks refused", type, n, k, b);
        check_sums("product of blocks", type, w, n, k, x, b, y2, 0, rounding);
    }
    check_sums("back", type, w, n, k, g, b, dx, 1, 0.0);
    chronos_set_threads(3);
    chronos_matmul_packed(type, panels, n, k, x, b, y2);
    if (memcmp(y, y2, b * n * sizeof(float)))
        fail("threads change results", type, n, k, b);
    void *all[] = {blocks, again, panels, w, x, g, y, y2, dx, rows};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* With any argument every ninth case: sanitized threads and emulators are slow. */
int main(int count, char **arguments) {
    (void)arguments;
    static const int types[] = {CHRONOS_Q4_0,    CHRONOS_Q8_0,     CHRONOS_Q2_K, CHRONOS_INT4_32,
                                CHRONOS_INT4_64, CHRONOS_INT4_128, CHRONOS_F16,  CHRONOS_BF16};
    static const size_t ns[] = {0, 1, 15, 16, 17, 33, 66}, ks[] = {0, 1, 2, 3, 9}, bs[] = {0, 1, 2, 3, 4, 5, 9, 67};
    const char *isa;
    for (int i = 0; (isa = chronos_isa_at(i)); i++) {
        chronos_isa_choose(isa);
        for (size_t t = 0; t < sizeof types / sizeof *types; t++)
            for (size_t j = 0; j < 7 * 5 * 8; j += count > 1 ? 9 : 1) {
                size_t unit = format_of(types[t]).weights, k = ks[j / 7 % 5] * unit;
                k = unit == SUPER && k > 3 * SUPER ? 3 * SUPER : k;
                check_one(types[t], ns[j % 7], k, bs[j / 35]);
                if (unit > 1 && k > 0) /* rows whose last block is not full */
                    check_one(types[t], ns[j % 7], k - 1 - j % (unit - 1), bs[j / 35]);
            }
        printf("%s, packed: good\n", isa);
    }
    return 0;
}
