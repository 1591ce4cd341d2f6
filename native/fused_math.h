/* e^x and its kin for a vector of floats, written once: each ISA says what a vector is, then includes this.
 * Used by fused_each.h and fused_rows.h. A vector V has W lanes; an ISA gives set, load, store, stream,
 * keep, fma_of, least, most, root, nearest, times_power, magnitude, with_sign, sum_of and most_of. Operators
 * are C's.
 *
 * Errors against the exact value, in units of the last place, at most (found over millions of points, tested):
 * exp 1.25, tanh 2.5, sigmoid 2.5, silu 3. What is no normal number may be 0. */

#define LOG2E 1.4426950408889634f
#define LN2_HIGH 0.693359375f
#define LN2_LOW (-2.12194440e-4f)

/* The body once for each whole vector, then once for what is left; i is the place, k the lanes in use. */
#define OVER(n, ...)                                                                                       \
    do {                                                                                                   \
        size_t i = 0, over_n = (n);                                                                        \
        for (; i + W <= over_n; i += W) {                                                                  \
            const size_t k = W;                                                                            \
            __VA_ARGS__                                                                                    \
        }                                                                                                  \
        if (W > 1 && i < over_n) {                                                                         \
            const size_t k = over_n - i;                                                                   \
            __VA_ARGS__                                                                                    \
        }                                                                                                  \
    } while (0)

/* The same for sums, in four chains c: a sum in one would wait for each addition. ALL adds them up. */
#define OVER_CHAINS(n, ...)                                                                                \
    do {                                                                                                   \
        size_t chains_all = (n), chains_n = chains_all / (4 * W) * (4 * W);                                \
        for (size_t at = 0; at < chains_n; at += 4 * W)                                                    \
            for (int c = 0; c < 4; c++) {                                                                  \
                const size_t i = at + (size_t)c * W, k = W;                                                \
                __VA_ARGS__                                                                                \
            }                                                                                              \
        for (size_t i = chains_n; i < chains_all; i += W) {                                                \
            const size_t k = chains_all - i < W ? chains_all - i : W, c = 0;                               \
            __VA_ARGS__                                                                                    \
        }                                                                                                  \
    } while (0)
#define CHAINS(name) V name[4] = {set(0.0f), set(0.0f), set(0.0f), set(0.0f)}
#define ALL(name) sum_of((name[0] + name[1]) + (name[2] + name[3]))

#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(p) __builtin_prefetch((p), 0, 2)
#else
#define PREFETCH(p) ((void)(p))
#endif

/* e^r - 1 for |r| <= ln 2 / 2 (Cephes' polynomial): exact in its leading term. */
INLINE V little(V r) {
    V q = set(1.9875691500e-4f);
    q = fma_of(q, r, set(1.3981999507e-3f));
    q = fma_of(q, r, set(8.3334519073e-3f));
    q = fma_of(q, r, set(4.1665795894e-2f));
    q = fma_of(q, r, set(1.6666665459e-1f));
    q = fma_of(q, r, set(5.0000001201e-1f));
    return fma_of(q, r * r, r);
}

/* x = n ln 2 + r: the whole n, as a float; r comes back through the pointer. */
INLINE V reduce(V x, V *r) {
    V n = nearest(x * set(LOG2E));
    *r = fma_of(n, set(-LN2_LOW), fma_of(n, set(-LN2_HIGH), x));
    return n;
}

/* 0 below -87.68, infinity from 88.73 at the latest and 88.37 at the earliest; NaN stays NaN. */
INLINE V exp_of(V x) {
    V r, n = reduce(least(set(89.0f), most(set(-88.0f), x)), &r);
    return times_power(little(r) + set(1.0f), n);
}

INLINE V sigmoid_of(V x) { return set(1.0f) / (set(1.0f) + exp_of(set(0.0f) - x)); }

INLINE V silu_of(V x) { return x * sigmoid_of(x); }

/* t / (t + 2) with t = e^2|x| - 1, which does not cancel near 0; from 10 on tanh is 1 in float32. */
INLINE V tanh_of(V x) {
    V r, n = reduce(least(set(20.0f), magnitude(x) + magnitude(x)), &r);
    V power = times_power(set(1.0f), n), t = fma_of(little(r), power, power - set(1.0f));
    return with_sign(t / (t + set(2.0f)), x);
}

/* GELU's tanh form is x * sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3): e^-2u here. */
#define GELU_A 0.7978845608028654f
#define GELU_B 0.044715f
INLINE V gelu_power(V x) {
    return exp_of(x * fma_of(x * x, set(-2 * GELU_A * GELU_B), set(-2 * GELU_A)));
}

INLINE V gelu_of(V x) { return x / (set(1.0f) + gelu_power(x)); }

INLINE V gelu_slope(V x) {
    V s = set(1.0f) / (set(1.0f) + gelu_power(x));
    V inner = fma_of(x * x, set(6 * GELU_A * GELU_B), set(2 * GELU_A));
    return fma_of(x * s * (set(1.0f) - s), inner, s);
}
