/* The kernels of a decode step, written once: step.h says what each does, fused_math.h what a vector is.
 * Included by the fused_*.c of each ISA after fused_math.h. A kernel does the items begin ... end - 1; what
 * becomes of an item depends on no other, so that threads change no bit. */

enum { TOGETHER = 4 }; /* rows, keys or vectors worked on at once: sums that do not wait for each other */

INLINE float dot(const float *a, const float *b, size_t n) {
    V sum = set(0.0f);
    OVER(n, sum = fma_of(load(a + i, k), load(b + i, k), sum););
    return sum_of(sum);
}

/* Products of rows 0 ... TOGETHER - 1 of w, `stride` floats apart, with x (n,). */
INLINE void dots(const float *w, size_t stride, const float *x, size_t n, float *sums) {
    V s0 = set(0.0f), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    size_t i = 0;
    for (; i + 2 * W <= n; i += 2 * W) {
        V x0 = load(x + i, W), x1 = load(x + i + W, W);
        const float *p = w + i;
        s0 = fma_of(load(p, W), x0, s0), t0 = fma_of(load(p + W, W), x1, t0), p += stride;
        s1 = fma_of(load(p, W), x0, s1), t1 = fma_of(load(p + W, W), x1, t1), p += stride;
        s2 = fma_of(load(p, W), x0, s2), t2 = fma_of(load(p + W, W), x1, t2), p += stride;
        s3 = fma_of(load(p, W), x0, s3), t3 = fma_of(load(p + W, W), x1, t3);
    }
    for (; i < n; i += W) {
        size_t k = n - i < W ? n - i : W;
        V x0 = load(x + i, k);
        s0 = fma_of(load(w + i, k), x0, s0);
        s1 = fma_of(load(w + stride + i, k), x0, s1);
        s2 = fma_of(load(w + 2 * stride + i, k), x0, s2);
        s3 = fma_of(load(w + 3 * stride + i, k), x0, s3);
    }
    sums[0] = sum_of(s0 + t0), sums[1] = sum_of(s1 + t1);
    sums[2] = sum_of(s2 + t2), sums[3] = sum_of(s3 + t3);
}

/* Rows are taken by fours from row 0 on, whatever the task, so a row's sum has one order. */
TARGET static void product(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    const float *w = s->w;
    (void)at;
    for (size_t r = begin; r < end; r += TOGETHER) {
        float sums[TOGETHER];
        size_t rows = end - r < TOGETHER ? end - r : TOGETHER;
        if (rows == TOGETHER)
            dots(w + r * s->d, s->d, s->x, s->d, sums);
        for (size_t i = 0; i < rows; i++) {
            float sum = rows == TOGETHER ? sums[i] : dot(w + (r + i) * s->d, s->x, s->d);
            sum += s->v ? s->v[r + i] : 0.0f;
            s->y[r + i] = s->add ? s->y[r + i] + sum : sum;
        }
    }
}

TARGET static void rms_norm_step(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    (void)at;
    for (size_t r = begin; r < end; r++) {
        const float *x = s->x + r * s->d, *gain = s->v + r * s->k;
        float *y = s->y + r * s->d, scale = 1.0f / sqrtf(dot(x, x, s->d) / (float)s->d + s->f);
        OVER(s->d, store(y + i, load(x + i, k) * set(scale) * load(gain + i, k), k););
    }
}

TARGET static void layer_norm_step(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    V total = set(0.0f), square = total;
    (void)begin, (void)end, (void)at;
    OVER(s->d, total = total + load(s->x + i, k););
    const V mean = set(sum_of(total) / (float)s->d);
    OVER(s->d, {
        V off = keep(load(s->x + i, k) - mean, 0.0f, k);
        square = fma_of(off, off, square);
    });
    const V scale = set(1.0f / sqrtf(sum_of(square) / (float)s->d + s->f));
    OVER(s->d, {
        V y = (load(s->x + i, k) - mean) * scale * load(s->v + i, k);
        if (s->u)
            y = y + load(s->u + i, k);
        store(s->y + i, y, k);
    });
}

TARGET static void add(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    (void)begin, (void)end, (void)at;
    OVER(s->d, {
        V y = load(s->y + i, k) + load(s->x + i, k);
        if (s->v)
            y = y + load(s->v + i, k);
        store(s->y + i, y, k);
    });
}

TARGET static void rotary_step(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    size_t half = s->k / 2;
    (void)at;
    for (size_t h = begin; h < end; h++) {
        float *low = s->y + h * s->k, *high = low + half;
        OVER(half, {
            V a = load(low + i, k), b = load(high + i, k), c = load(s->v + i, k), t = load(s->u + i, k);
            store(low + i, a * c - b * t, k);
            store(high + i, b * c + a * t, k);
        });
    }
}

/* Σ p_t v_t into y (K,): n rows of v, those that `picks` names or the first. */
INLINE void weigh(const float *p, const float *v, size_t stride, const int32_t *picks, size_t n, float *y,
                  size_t width) {
    size_t i = 0;
    for (; i + TOGETHER * W <= width; i += TOGETHER * W) {
        V s0 = set(0.0f), s1 = s0, s2 = s0, s3 = s0;
        for (size_t t = 0; t < n; t++) {
            const float *row = v + (picks ? (size_t)picks[t] : t) * stride + i;
            V share = set(p[t]);
            s0 = fma_of(share, load(row, W), s0);
            s1 = fma_of(share, load(row + W, W), s1);
            s2 = fma_of(share, load(row + 2 * W, W), s2);
            s3 = fma_of(share, load(row + 3 * W, W), s3);
        }
        store(y + i, s0, W), store(y + i + W, s1, W);
        store(y + i + 2 * W, s2, W), store(y + i + 3 * W, s3, W);
    }
    for (; i < width; i += W) {
        size_t k = width - i < W ? width - i : W;
        V sum = set(0.0f);
        for (size_t t = 0; t < n; t++)
            sum = fma_of(set(p[t]), load(v + (picks ? (size_t)picks[t] : t) * stride + i, k), sum);
        store(y + i, sum, k);
    }
}

/* p = softmax(p) in place: p (n,). */
INLINE void softmax_of(float *p, size_t n) {
    V top = set(-INFINITY), total = set(0.0f);
    OVER(n, top = most(keep(load(p + i, k), -INFINITY, k), top););
    const V most_score = set(most_of(top));
    OVER(n, {
        V e = exp_of(load(p + i, k) - most_score);
        store(p + i, e, k);
        total = total + keep(e, 0.0f, k);
    });
    const V over = set(1.0f / sum_of(total));
    OVER(n, store(p + i, load(p + i, k) * over, k););
}

TARGET static void attend(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    size_t n = (size_t)at + 1, stride = s->groups * s->k;
    const int32_t *picks = s->picks && n > s->d ? s->picks : NULL;
    n = picks ? s->d : n;
    for (size_t h = begin; h < end; h++) {
        size_t column = h / (s->heads / s->groups) * s->k, t = 0;
        const float *q = s->x + h * s->k, *keys = s->v + column;
        float *p = s->z + h * s->room;
        for (; !picks && t + TOGETHER <= n; t += TOGETHER)
            dots(keys + t * stride, stride, q, s->k, p + t);
        for (; t < n; t++)
            p[t] = dot(keys + (picks ? (size_t)picks[t] : t) * stride, q, s->k);
        OVER(n, store(p + i, load(p + i, k) * set(s->f), k););
        softmax_of(p, n);
        weigh(p, s->u + column, stride, picks, n, s->y + h * s->k, s->k);
    }
}

TARGET static void swiglu_step(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    (void)begin, (void)end, (void)at;
    OVER(s->d, store(s->y + i, silu_of(load(s->x + i, k)) * load(s->x + s->d + i, k), k););
}

TARGET static void gelu_step(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    (void)begin, (void)end, (void)at;
    OVER(s->d, store(s->y + i, gelu_of(load(s->x + i, k)), k););
}

TARGET static void relu2_step(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    (void)begin, (void)end, (void)at;
    OVER(s->d, {
        V x = most(set(0.0f), load(s->x + i, k));
        store(s->y + i, x * x, k);
    });
}

TARGET static void conv(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    const float *w = s->w;
    size_t before = s->room - 1;
    (void)begin, (void)end, (void)at;
    OVER(s->d, {
        V newest = load(s->x + i, k), sum = newest * load(w + before * s->d + i, k);
        for (size_t j = 0; j < before; j++) {
            float *place = s->u + j * s->d + i;
            sum = fma_of(load(place, k), load(w + j * s->d + i, k), sum);
            store(place, j + 1 < before ? load(place + s->d, k) : newest, k);
        }
        store(s->y + i, silu_of(sum), k);
    });
}

/* log(1 + e^x) = max(x, 0) + log(1 + t), t = e^-|x|; log(1 + t) = 2 artanh(t / (t + 2)), by its series. */
INLINE V softplus_of(V x) {
    V t = exp_of(set(0.0f) - magnitude(x)), s = t / (t + set(2.0f)), w = s * s, sum = set(1.0f / 15);
    for (int odd = 13; odd > 0; odd -= 2)
        sum = fma_of(sum, w, set(1.0f / (float)odd));
    return fma_of(s + s, sum, most(set(0.0f), x));
}

TARGET static void decay(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    (void)at;
    for (size_t h = begin; h < end; h++) {
        const float *x = s->x + h * s->k, *bias = s->u + h * s->k, rate = -expf(s->v[h]);
        float *y = s->y + h * s->k;
        OVER(s->k, store(y + i, exp_of(set(rate) * softplus_of(load(x + i, k) + load(bias + i, k))), k););
    }
}

/* A row of the state, a value channel, at a time: it decays, is read with k and q, and takes what is new. */
TARGET static void delta(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    size_t width = s->k, values = s->d, heads = s->heads;
    (void)at;
    for (size_t h = begin; h < end; h++) {
        const float *q = s->x + h * width, *key = q + heads * width, *left = s->v + h * width;
        const float *v = s->x + 2 * heads * width + h * values;
        float strength = s->f / (1.0f + expf(-s->z[h])), overlap = dot(key, q, width);
        for (size_t r = 0; r < values; r++) {
            float *row = s->u + (h * values + r) * width;
            V with_key = set(0.0f), with_q = with_key;
            OVER(width, {
                V old = load(row + i, k) * load(left + i, k);
                with_key = fma_of(old, load(key + i, k), with_key);
                with_q = fma_of(old, load(q + i, k), with_q);
            });
            float write = strength * (v[r] - sum_of(with_key));
            s->y[h * values + r] = sum_of(with_q) + write * overlap;
            OVER(width, {
                V old = load(row + i, k) * load(left + i, k);
                store(row + i, fma_of(set(write), load(key + i, k), old), k);
            });
        }
    }
}

TARGET static void gated(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    (void)at;
    for (size_t h = begin; h < end; h++) {
        const float *x = s->x + h * s->d, *z = s->v + h * s->d;
        float *y = s->y + h * s->d, scale = 1.0f / sqrtf(dot(x, x, s->d) / (float)s->d + s->f);
        OVER(s->d, {
            V unit = load(x + i, k) * set(scale) * load(s->u + i, k);
            store(y + i, unit * sigmoid_of(load(z + i, k)), k);
        });
    }
}

/* Scores of the indexer. Which are the best is chosen in plan.c. */
TARGET static void index_scores(const chronos_step *s, size_t begin, size_t end, int64_t at) {
    size_t n = (size_t)at + 1;
    const float *keys = s->w;
    (void)begin, (void)end;
    for (size_t t = 0; t < n; t++) {
        float sum = 0.0f;
        for (size_t h = 0; h < s->heads; h++) {
            float product = dot(s->x + h * s->d, keys + t * s->d, s->d);
            sum += s->v[h] * s->f * (product > 0.0f ? product : 0.0f);
        }
        s->z[t] = sum;
    }
}

#define STEP_TABLE                                                                                         \
    {                                                                                                      \
        [STEP_RMS_NORM] = rms_norm_step, [STEP_LAYER_NORM] = layer_norm_step, [STEP_PRODUCT] = product,    \
        [STEP_ADD] = add, [STEP_ROTARY] = rotary_step, [STEP_ATTEND] = attend,                             \
        [STEP_SWIGLU] = swiglu_step, [STEP_GELU] = gelu_step, [STEP_RELU2] = relu2_step,                   \
        [STEP_CONV] = conv, [STEP_DECAY] = decay, [STEP_DELTA] = delta, [STEP_GATED] = gated,              \
        [STEP_PICK] = index_scores,                                                                        \
    }
