/* Kernels in which each element stands alone: activations, SwiGLU, rotary positions, AdamW.
 * Included by each ISA's file after fused_math.h; fused.h says what each reads and writes. */

#define MAP(name)                                                                                          \
    TARGET static void name##_map(const fused *a, size_t begin, size_t end) {                              \
        const float *x = a->x + begin;                                                                     \
        float *y = a->y + begin;                                                                           \
        OVER(end - begin, store(y + i, name##_of(load(x + i, k)), k););                                    \
    }

MAP(exp)
MAP(tanh)
MAP(sigmoid)
MAP(silu)
MAP(gelu)

TARGET static void gelu_backward(const fused *a, size_t begin, size_t end) {
    const float *dy = a->dy + begin, *x = a->x + begin;
    float *dx = a->dx + begin;
    OVER(end - begin, store(dx + i, load(dy + i, k) * gelu_slope(load(x + i, k)), k););
}

TARGET static void swiglu(const fused *a, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++) {
        const float *gate = a->x + 2 * r * a->d, *value = gate + a->d;
        float *y = a->y + r * a->d;
        OVER(a->d, store(y + i, silu_of(load(gate + i, k)) * load(value + i, k), k););
    }
}

TARGET static void swiglu_backward(const fused *a, size_t begin, size_t end) {
    for (size_t r = begin; r < end; r++) {
        const float *gate = a->x + 2 * r * a->d, *value = gate + a->d, *dy = a->dy + r * a->d;
        float *dgate = a->dx + 2 * r * a->d, *dvalue = dgate + a->d;
        OVER(a->d, {
            V g = load(gate + i, k), up = load(dy + i, k), s = sigmoid_of(g);
            V slope = s * fma_of(g, set(1.0f) - s, set(1.0f));
            store(dgate + i, up * load(value + i, k) * slope, k);
            store(dvalue + i, up * (g * s), k);
        });
    }
}

enum { AHEAD = 1024 }; /* floats to ask for early, at least, in whole rows: 4 KiB */

/* One row of heads; `far`: past the caches, which do not read first what is overwritten whole. */
INLINE void turn_row(const fused *a, size_t r, int far) {
    size_t half = a->d / 2, passed = (a->heads - a->some) * a->d, row = a->heads * a->d;
    size_t ahead = far ? (AHEAD + row - 1) / row * row : 0;
    const float *c = a->cosines + r * half, *s = a->sines + r * half, *x = a->x + r * a->heads * a->d;
    float *y = a->y + r * a->heads * a->d;
    for (size_t h = 0; h < a->some; h++, x += a->d, y += a->d)
        OVER(half, {
            if (far) {
                PREFETCH(x + i + ahead);
                PREFETCH(x + half + i + ahead);
            }
            V u = load(x + i, k), v = load(x + half + i, k);
            V cosine = load(c + i, k), sine = load(s + i, k);
            V first = fma_of(u, cosine, set(0.0f) - v * sine), second = fma_of(v, cosine, u * sine);
            if (far) {
                stream(y + i, first);
                stream(y + half + i, second);
            } else {
                store(y + i, first, k);
                store(y + half + i, second, k);
            }
        });
    if (far)
        OVER(passed, {
            PREFETCH(x + i + ahead);
            stream(y + i, load(x + i, k));
        });
    else
        memcpy(y, x, passed * sizeof *y);
}

/* Streaming wants whole vectors on a cache line, and pays where the result would not stay in cache anyway. */
TARGET static void rotary(const fused *a, size_t begin, size_t end) {
    int far = a->far && (uintptr_t)a->y % 64 == 0 && a->d % 32 == 0;
    for (size_t r = begin; r < end; r++)
        if (far)
            turn_row(a, r, 1);
        else
            turn_row(a, r, 0);
    stream_end();
}

TARGET static void adamw(const fused *a, size_t begin, size_t end) {
    float *w = a->w + begin, *m = a->m + begin, *v = a->v + begin;
    const float *g = a->g + begin;
    V b1 = set(a->adam.b1), b2 = set(a->adam.b2), c1 = set(a->adam.c1), c2 = set(a->adam.c2);
    V lr = set(a->adam.lr), fix = set(a->adam.fix), eps = set(a->adam.eps), shrink = set(a->adam.shrink);
    V clip = set(a->adam.clip);
    OVER(end - begin, {
        V slope = load(g + i, k) * clip;
        V first = fma_of(b1, load(m + i, k), c1 * slope);
        V second = fma_of(b2, load(v + i, k), c2 * slope * slope);
        V step = lr * first / (root(second * fix) + eps);
        store(m + i, first, k);
        store(v + i, second, k);
        store(w + i, fma_of(load(w + i, k), shrink, set(0.0f) - step), k);
    });
}
