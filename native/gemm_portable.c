/* The kernels of float products in plain C, for any machine; bf16 is emulated with the processors' rounding.
 * They define what the others compute, and are not fast. */
#include "gemm.h"

static float value_at(gemm_source s, size_t line, size_t i, size_t k) {
    return i < k ? s.data[line * s.line_stride + i * s.k_stride] : 0.0f;
}

static void pack(int kind, gemm_source s, size_t lines, size_t k, size_t width, int pad, uint32_t *panels) {
    size_t units = gemm_units(kind, k);
    for (size_t start = 0; start < lines; start += width) {
        size_t wide = pad || lines - start > width ? width : lines - start;
        uint32_t *to = panels + start * units;
        for (size_t u = 0; u < units; u++)
            for (size_t l = start; l < start + wide; l++)
                if (l >= lines)
                    *to++ = 0;
                else if (kind == GEMM_F32)
                    *to++ = float_bits(value_at(s, l, u, k));
                else
                    *to++ = bf16_of_float(value_at(s, l, 2 * u, k)) |
                            bf16_of_float(value_at(s, l, 2 * u + 1, k)) << 16;
    }
}

void gemm_pack_f32(gemm_source s, size_t lines, size_t k, size_t width, int pad, uint32_t *panels) {
    pack(GEMM_F32, s, lines, k, width, pad, panels);
}

void gemm_pack_bf16(gemm_source s, size_t lines, size_t k, size_t width, int pad, uint32_t *panels) {
    pack(GEMM_BF16, s, lines, k, width, pad, panels);
}

/* sum[j] += a b[j], for a pair the high halves' product first, as vdpbf16ps does. */
static inline void add_products(int kind, uint32_t a, const uint32_t *b, float *sum) {
    if (kind == GEMM_F32)
        for (int j = 0; j < B_WIDTH; j++)
            sum[j] += float_of_bits(a) * float_of_bits(b[j]);
    else
        for (int j = 0; j < B_WIDTH; j++) {
            sum[j] += float_of_bits(a & 0xffff0000) * float_of_bits(b[j] & 0xffff0000);
            sum[j] += float_of_bits(a << 16) * float_of_bits(b[j] << 16);
        }
}

static inline void multiply(int kind, const gemm_part *p) {
    for (size_t j = 0; j < p->cols; j += B_WIDTH) {
        size_t cols = p->cols - j < B_WIDTH ? p->cols - j : B_WIDTH;
        const uint32_t *b = p->b + j * p->units;
        for (size_t i = 0; i < p->rows; i++) {
            size_t width, below = i % p->tile_rows;
            const uint32_t *a = gemm_tile(p, i - below, &width) + below;
            float sum[B_WIDTH] = {0}, *c = p->c + i * p->ldc + j;
            for (size_t u = 0; u < p->units; u++)
                add_products(kind, a[u * width], b + u * B_WIDTH, sum);
            for (size_t l = 0; l < cols; l++)
                c[l] = p->add ? c[l] + sum[l] : sum[l];
        }
    }
}

static void part_f32(const gemm_part *p) { multiply(GEMM_F32, p); }
void gemm_part_bf16(const gemm_part *p) { multiply(GEMM_BF16, p); }

const gemm_kernels gemm_portable = {
    {gemm_pack_f32, gemm_pack_bf16}, {part_f32, gemm_part_bf16}, {NULL, NULL}, 0};
