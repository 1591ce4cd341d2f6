/* Kernels with a sum over each row: norms, softmax, cross-entropy.
 * Included by each ISA's file after fused_math.h; fused.h says what each reads and writes. A row is added up
 * in one order, whatever rows stand beside it. */

TARGET static void rms_norm(const fused *a, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++)
        for (size_t h = 0; h < a->heads; h++) {
            const float *x = a->x + (r * a->heads + h) * a->d, *gain = a->gain + h * a->d;
            float *y = a->y + (r * a->heads + h) * a->d;
            if (h >= a->some) {
                memcpy(y, x, a->d * sizeof *y);
                continue;
            }
            CHAINS(square);
            OVER_CHAINS(a->d, V v = load(x + i, k); square[c] = fma_of(v, v, square[c]););
            float rstd = 1.0f / sqrtf(ALL(square) / (float)a->d + a->eps);
            a->rstd[r * a->some + h] = rstd;
            OVER(a->d, store(y + i, load(x + i, k) * set(rstd) * load(gain + i, k), k););
        }
}

/* dgain (some, K) is added to: the caller has cleared it. */
TARGET static void rms_norm_backward(const fused *a, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++)
        for (size_t h = 0; h < a->heads; h++) {
            size_t at = (r * a->heads + h) * a->d;
            const float *x = a->x + at, *dy = a->dy + at, *gain = a->gain + h * a->d;
            float *dx = a->dx + at, *dgain = a->dgain + h * a->d;
            if (h >= a->some) {
                memcpy(dx, dy, a->d * sizeof *dx);
                continue;
            }
            CHAINS(dot);
            OVER_CHAINS(a->d, dot[c] = fma_of(load(dy + i, k) * load(gain + i, k), load(x + i, k), dot[c]););
            float rstd = a->rstd[r * a->some + h], mean = ALL(dot) / (float)a->d * rstd;
            V s = set(rstd), c = set(mean);
            OVER(a->d, {
                V up = load(dy + i, k), n = load(x + i, k) * s;
                store(dx + i, fma_of(up, load(gain + i, k), set(0.0f) - n * c) * s, k);
                store(dgain + i, fma_of(up, n, load(dgain + i, k)), k);
            });
        }
}

TARGET static void layer_norm(const fused *a, size_t begin, size_t end) {
    const float *gain = a->gain, *shift = a->shift; /* here, for a store might change what `a` points to */
    size_t d = a->d;
    for (size_t r = begin; r < end; r++) {
        const float *x = a->x + r * d;
        float *y = a->y + r * d;
        CHAINS(total);
        CHAINS(square);
        OVER_CHAINS(d, total[c] = total[c] + load(x + i, k););
        a->mean[r] = ALL(total) / (float)d;
        V mean = set(a->mean[r]);
        OVER_CHAINS(d, V v = keep(load(x + i, k) - mean, 0.0f, k); square[c] = fma_of(v, v, square[c]););
        a->rstd[r] = 1.0f / sqrtf(ALL(square) / (float)d + a->eps);
        V s = set(a->rstd[r]);
        if (shift)
            OVER(d, {
                V n = (load(x + i, k) - mean) * s;
                store(y + i, fma_of(n, load(gain + i, k), load(shift + i, k)), k);
            });
        else
            OVER(d, store(y + i, (load(x + i, k) - mean) * s * load(gain + i, k), k););
    }
}

/* dgain and dshift (D,) are added to: the caller has cleared them. */
TARGET static void layer_norm_backward(const fused *a, size_t begin, size_t end) {
    const float *gain = a->gain;
    float *dgain = a->dgain, *dshift = a->dshift;
    size_t d = a->d;
    for (size_t r = begin; r < end; r++) {
        const float *x = a->x + r * d, *dy = a->dy + r * d;
        float *dx = a->dx + r * d;
        V mean = set(a->mean[r]), s = set(a->rstd[r]);
        CHAINS(total);
        CHAINS(dot);
        OVER_CHAINS(d, {
            V dn = load(dy + i, k) * load(gain + i, k);
            total[c] = total[c] + dn;
            dot[c] = fma_of(dn, load(x + i, k) - mean, dot[c]); /* beyond the row dn is 0 */
        });
        V first = set(ALL(total) / (float)d), second = set(ALL(dot) / (float)d) * s;
        OVER(d, {
            V up = load(dy + i, k), n = (load(x + i, k) - mean) * s;
            store(dx + i, (fma_of(up, load(gain + i, k), set(0.0f) - first) - n * second) * s, k);
            store(dgain + i, fma_of(up, n, load(dgain + i, k)), k);
            store(dshift + i, up + load(dshift + i, k), k);
        });
    }
}

/* The largest of x (n,), or -infinity; NaN may be passed over, and shows in the sum that follows. */
INLINE float row_most(const float *x, size_t n) {
    V top[4] = {set(-INFINITY), set(-INFINITY), set(-INFINITY), set(-INFINITY)};
    OVER_CHAINS(n, top[c] = most(top[c], keep(load(x + i, k), -INFINITY, k)););
    return most_of(most(most(top[0], top[1]), most(top[2], top[3])));
}

/* In place, row (n,) becomes e^(scale x - top); the sum of that. `next` is asked for meanwhile, or NULL. */
INLINE float row_powers(float *row, size_t n, float scale, float top, const float *next) {
    V total = set(0.0f), factor = set(scale), minus = set(-top);
    OVER(n, {
        if (next)
            PREFETCH(next + i);
        V e = exp_of(fma_of(load(row + i, k), factor, minus));
        store(row + i, e, k);
        total = total + keep(e, 0.0f, k);
    });
    return sum_of(total);
}

INLINE void row_times(float *row, size_t n, float factor) {
    OVER(n, store(row + i, load(row + i, k) * set(factor), k););
}

INLINE size_t visible_to(const fused *a, size_t row) {
    size_t per_batch = a->heads * a->queries;
    return (size_t)a->ids[row / per_batch * a->queries + row % a->queries];
}

TARGET static void softmax(const fused *a, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++) {
        float *row = a->rows + r * a->d;
        size_t n = visible_to(a, r);
        float top = row_most(row, n) * a->scale, total = row_powers(row, n, a->scale, top, NULL);
        row_times(row, n, 1.0f / total);
        memset(row + n, 0, (a->d - n) * sizeof *row);
        a->lse[r] = top + logf(total);
    }
}

TARGET static void softmax_again(const fused *a, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++) {
        float *row = a->rows + r * a->d;
        size_t n = visible_to(a, r);
        V factor = set(a->scale), minus = set(-a->lse[r]);
        OVER(n, store(row + i, exp_of(fma_of(load(row + i, k), factor, minus)), k););
        memset(row + n, 0, (a->d - n) * sizeof *row);
    }
}

TARGET static void softmax_backward(const fused *a, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++) {
        const float *p = a->p + r * a->d;
        float *dp = a->rows + r * a->d;
        V delta = set(a->delta[r]), scale = set(a->scale);
        OVER(a->d, store(dp + i, load(p + i, k) * (load(dp + i, k) - delta) * scale, k););
    }
}

/* What softmax_backward does, delta = sum p dp included. */
TARGET static void softmax_slopes(const fused *a, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++) {
        const float *p = a->p + r * a->d;
        float *dp = a->rows + r * a->d;
        CHAINS(dot);
        OVER_CHAINS(a->d, dot[c] = fma_of(load(p + i, k), load(dp + i, k), dot[c]););
        V delta = set(ALL(dot)), scale = set(a->scale);
        OVER(a->d, store(dp + i, load(p + i, k) * (load(dp + i, k) - delta) * scale, k););
    }
}

/* Three passes over a row in cache. The second has most to compute, and brings the next row there. */
TARGET static void cross_entropy(const fused *a, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++) {
        float *row = a->rows + r * a->d;
        if (a->ids[r] < 0) {
            memset(row, 0, a->d * sizeof *row);
            a->losses[r] = 0.0f;
            continue;
        }
        float top = row_most(row, a->d), hit = row[a->ids[r]] - top;
        float total = row_powers(row, a->d, 1.0f, top, r + 1 < end ? row + a->d : NULL);
        row_times(row, a->d, a->scale / total);
        row[a->ids[r]] -= a->scale;
        a->losses[r] = logf(total) - hit;
    }
}

#define FUSED_TABLE                                                                                        \
    {                                                                                                      \
        exp_map, tanh_map, sigmoid_map, silu_map, gelu_map, gelu_backward, swiglu, swiglu_backward, rotary,\
            adamw, rms_norm, rms_norm_backward, layer_norm, layer_norm_backward, softmax, softmax_again,   \
            softmax_backward, cross_entropy, softmax_slopes                                 \
    }
