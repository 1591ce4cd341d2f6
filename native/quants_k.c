/* Weights to blocks of Q2_K, llama.cpp's two bits a weight, and back.
 * The layout is llama.cpp's; which scales and codes are taken for some weights is ours: the search below is for
 * the least squared error, in which a weight w counts |w| + 0.3 mean|w|: less than llama.cpp's error both where
 * all count alike and where large ones count for more, as there. plain_types.py does the same in the same order,
 * so that bytes are equal; build with -ffp-contract=off. Every array is [sixteen], for compilers to vectorize over
 * the 16 sixteens. */
#include "products.h"

#include <math.h>

enum { SIXTEENS = 16, MAX_CODE = 3, MAX_SCALE = 15, ROUNDS = 2 };
typedef float lanes[SIXTEENS];

/* A loop that compilers turn into vectors, and do not unroll before they could. */
#define EACH _Pragma("GCC unroll 1") for (int j = 0; j < SIXTEENS; j++)

static inline float clamp(float v, float high) { /* a NaN becomes 0 */
    v = v > 0.0f ? v : 0.0f;
    return v < high ? v : high;
}

/* l = v rounded to 0..MAX_CODE. In loops of their own, or the compiler finds branches in them. */
static inline void to_codes(lanes v, lanes l) {
    EACH
        v[j] = v[j] > 0.0f ? v[j] : 0.0f;
    EACH
        v[j] = v[j] < (float)MAX_CODE ? v[j] : (float)MAX_CODE;
    EACH
        l[j] = (float)(int)(v[j] + 0.5f);
}

/* How many steps there are from the least to the largest weight of a sixteen, for a start. Fewer than three waste
 * codes, and make a scale large that others share, so they must leave a quarter of an error worth speaking of:
 * three weights at equal distances are exact with two. */
static const float GUESSES[] = {2.5f, 2.7f, 2.9f, 3.1f, 3.3f, 3.6f, 4.0f, 1.0f, 2.0f};
enum { GUESSED = sizeof GUESSES / sizeof *GUESSES, FEW = GUESSED - 2 };

static float across(const lanes v) {
    float sum = 0.0f;
    EACH
        sum += v[j];
    return sum;
}

/* What each weight's squared error counts. */
static void weigh(const lanes x[16], lanes w[16]) {
    lanes total = {0};
    for (int i = 0; i < 16; i++)
        EACH
            total[j] += fabsf(x[i][j]);
    float some = 0.3f / SUPER * across(total);
    for (int i = 0; i < 16; i++)
        EACH
            w[i][j] = fabsf(x[i][j]) + some;
}

/* What the least-squares fit of scale and offset to given codes needs: sums of w, w x, w l, w l^2, w x l. */
typedef struct {
    lanes w, x, l, l2, xl;
} moments;

static void add_up(const lanes x[16], const lanes w[16], const lanes l[16], moments *m) {
    memset(m, 0, sizeof *m);
    for (int i = 0; i < 16; i++)
        EACH {
            float wl = w[i][j] * l[i][j], wx = w[i][j] * x[i][j];
            m->w[j] += w[i][j];
            m->x[j] += wx;
            m->l[j] += wl;
            m->l2[j] += wl * l[i][j];
            m->xl[j] += wx * l[i][j];
        }
}

static void solve(const moments *m, const lanes low, lanes scale, lanes offset) {
    EACH {
        float all = m->w[j] * m->l2[j], det = all - m->l[j] * m->l[j];
        int apart = det > 1e-6f * all; /* else all codes are alike, most often 0 */
        float fitted = (m->l2[j] * m->x[j] - m->l[j] * m->xl[j]) / (apart ? det : 1.0f);
        int free = apart && fitted < 0.0f;
        float s = free ? (m->w[j] * m->xl[j] - m->x[j] * m->l[j]) / det : m->l2[j] > 0.0f ? m->xl[j] / m->l2[j] : 0.0f;
        offset[j] = apart ? (free ? fitted : 0.0f) : low[j];
        scale[j] = s > 0.0f ? s : 0.0f;
    }
}

/* The codes that come closest with this scale and offset, and the error that they leave. */
static void assign(const lanes x[16], const lanes w[16], const lanes scale, const lanes offset, lanes l[16],
                   lanes error) {
    lanes inverse;
    EACH {
        inverse[j] = scale[j] > 0.0f ? 1.0f / scale[j] : 0.0f;
        error[j] = 0.0f;
    }
    for (int i = 0; i < 16; i++) {
        lanes v;
        EACH
            v[j] = (x[i][j] - offset[j]) * inverse[j];
        to_codes(v, l[i]);
        EACH {
            float off = scale[j] * l[i][j] + offset[j] - x[i][j];
            error[j] += w[i][j] * (off * off);
        }
    }
}

/* The scale and the offset (at most 0) of each sixteen that leave the least error: codes are guessed, scale and
 * offset fitted to them by least squares, codes assigned anew, and once more. */
static void fit(const lanes x[16], const lanes w[16], lanes scale, lanes offset) {
    lanes low, width, best, l[16], s, o, error;
    moments m;
    EACH {
        float min = x[0][j], max = x[0][j];
        for (int i = 1; i < 16; i++) {
            min = x[i][j] < min ? x[i][j] : min;
            max = x[i][j] > max ? x[i][j] : max;
        }
        low[j] = min < 0.0f ? min : 0.0f;
        width[j] = max - low[j];
        scale[j] = offset[j] = 0.0f;
        best[j] = INFINITY;
    }
    for (int guess = 0; guess < GUESSED; guess++) {
        lanes v, inverse;
        EACH
            inverse[j] = width[j] > 0.0f ? GUESSES[guess] / width[j] : 0.0f;
        for (int i = 0; i < 16; i++) {
            EACH
                v[j] = (x[i][j] - low[j]) * inverse[j];
            to_codes(v, l[i]);
        }
        for (int round = 0; round < ROUNDS; round++) {
            add_up(x, w, (const lanes *)l, &m);
            solve(&m, low, s, o);
            assign(x, w, s, o, l, error);
            EACH
                if (error[j] < (guess < FEW ? best[j] : 0.25f * best[j] - 0x1p-18f))
                    best[j] = error[j], scale[j] = s[j], offset[j] = o[j];
        }
    }
}

/* A block: d and dmin, the multiples of them in each sixteen, codes, and what all that leaves of error. */
typedef struct {
    float d, dmin, error;
    lanes scale, min, l[16];
} choice;

/* For c's d and dmin: of the multiples next to the fitted scales and offsets, the pairs of least error. */
static void choose(const lanes x[16], const lanes w[16], const lanes scale, const lanes offset, choice *c) {
    lanes best, sc0, m0, s, o, error;
    EACH {
        best[j] = INFINITY;
        c->scale[j] = c->min[j] = 0.0f;
        sc0[j] = c->d > 0.0f ? (float)(int)(clamp(scale[j] / c->d, MAX_SCALE) + 0.5f) : 0.0f;
        m0[j] = c->dmin > 0.0f ? (float)(int)(clamp(-offset[j] / c->dmin, MAX_SCALE) + 0.5f) : 0.0f;
    }
    for (int t = 0; t < 9; t++) {
        lanes a, b;
        EACH {
            a[j] = clamp(sc0[j] + (float)(t / 3 - 1), MAX_SCALE);
            b[j] = clamp(m0[j] + (float)(t % 3 - 1), MAX_SCALE);
            s[j] = c->d * a[j];
            o[j] = -c->dmin * b[j];
        }
        assign(x, w, s, o, c->l, error);
        EACH
            if (error[j] < best[j])
                best[j] = error[j], c->scale[j] = a[j], c->min[j] = b[j];
    }
    EACH {
        s[j] = c->d * c->scale[j];
        o[j] = -c->dmin * c->min[j];
    }
    assign(x, w, s, o, c->l, error);
    c->error = across(error);
}

/* The d and dmin of least squared error for the multiples and codes of c. */
static void refit(const lanes x[16], const lanes w[16], const choice *c, float *d, float *dmin) {
    lanes pp = {0}, pm = {0}, mm = {0}, px = {0}, mx = {0};
    for (int i = 0; i < 16; i++)
        EACH {
            float p = c->scale[j] * c->l[i][j], wp = w[i][j] * p, wm = w[i][j] * c->min[j];
            pp[j] += wp * p;
            pm[j] += wp * c->min[j];
            mm[j] += wm * c->min[j];
            px[j] += wp * x[i][j];
            mx[j] += wm * x[i][j];
        }
    float a = across(pp), b = across(pm), e = across(mm), f = across(px), g = across(mx), det = a * e - b * b;
    *d = c->d, *dmin = c->dmin;
    if (det > 1e-6f * (a * e)) {
        *d = (f * e - g * b) / det;
        *dmin = (f * b - g * a) / det;
    } else if (a > 0.0f)
        *d = (f + c->dmin * b) / a;
}

/* What is stored for 2^power times a unit, at most the largest half; and what that half stands for. */
static uint16_t half_of_unit(float unit, int power) {
    float d = ldexpf(unit > 0.0f ? unit : 0.0f, power);
    return half_of_float(d < 65504.0f ? d : 65504.0f);
}
static float unit_of(uint16_t half, int power) { return ldexpf(float_of_half(half), -power); }

static void try_units(const lanes x[16], const lanes w[16], const lanes scale, const lanes offset, float d,
                      float dmin, int power, choice *c) {
    c->d = unit_of(half_of_unit(d, power), power);
    c->dmin = unit_of(half_of_unit(dmin, power), power);
    choose(x, w, scale, offset, c);
}

static void write_block(const choice *c, int power, uint8_t *out) {
    store_half(out + 80, half_of_unit(c->d, power));
    store_half(out + 82, half_of_unit(c->dmin, power));
    EACH {
        out[j] = (uint8_t)((int)c->scale[j] | (int)c->min[j] << 4);
        for (int i = 0; i < 16; i++)
            out[16 + j / 8 * 32 + j % 2 * 16 + i] |= (uint8_t)((int)c->l[i][j] << j % 8 / 2 * 2);
    }
}

/* All is done on x * 2^-power, at most 1, where squares neither overflow nor vanish. */
static void quantize_block(const float *in, uint8_t *out) {
    lanes x[16], w[16], scale, offset;
    choice first, second;
    float amax = 0.0f, most = 0.0f, least = 0.0f, d, dmin;
    int power = 0;
    for (int i = 0; i < SUPER; i++)
        amax = fabsf(in[i]) > amax ? fabsf(in[i]) : amax;
    memset(out, 0, Q2_K_BYTES);
    if (!(amax > 0.0f && amax < INFINITY))
        return;
    frexpf(amax, &power);
    for (int i = 0; i < SUPER; i++)
        x[i % 16][i / 16] = ldexpf(in[i], -power);
    weigh((const lanes *)x, w);
    fit((const lanes *)x, (const lanes *)w, scale, offset);
    EACH {
        most = scale[j] > most ? scale[j] : most;
        least = offset[j] < least ? offset[j] : least;
    }
    try_units((const lanes *)x, (const lanes *)w, scale, offset, most / MAX_SCALE, -least / MAX_SCALE, power, &first);
    refit((const lanes *)x, (const lanes *)w, &first, &d, &dmin);
    try_units((const lanes *)x, (const lanes *)w, scale, offset, d, dmin, power, &second);
    write_block(second.error < first.error ? &second : &first, power, out);
}

static void dequantize_block(const uint8_t *block, float *x) {
    float d = float_of_half(load_half(block + 80)), dmin = float_of_half(load_half(block + 82));
    for (int j = 0; j < SIXTEENS; j++) {
        float scale = d * (float)(block[j] & 15), min = dmin * (float)(block[j] >> 4);
        const uint8_t *codes = block + 16 + j / 8 * 32 + j % 2 * 16;
        for (int i = 0; i < 16; i++)
            x[16 * j + i] = scale * (float)(codes[i] >> j % 8 / 2 * 2 & 3) - min;
    }
}

static void quantize_any(const float *x, uint8_t *blocks, size_t count) {
    for (size_t i = 0; i < count; i++)
        quantize_block(x + i * SUPER, blocks + i * Q2_K_BYTES);
}

/* The same with wider vectors: no fused multiply-add, so not a bit changes. */
#ifdef HAVE_AVX2
#define WIDER(name, isa)                                                                                  \
    __attribute__((target(isa), flatten)) static void name(const float *x, uint8_t *blocks, size_t count) { \
        quantize_any(x, blocks, count);                                                                   \
    }
WIDER(quantize_avx2, "avx2")
#ifdef __clang__ /* which does not know the last word, and needs none */
WIDER(quantize_avx512, "avx512f,avx512bw,avx512vl,avx512dq")
#else
WIDER(quantize_avx512, "avx512f,avx512bw,avx512vl,avx512dq,prefer-vector-width=512")
#endif
#endif

static void quantize(const float *x, uint8_t *blocks, size_t count) {
#ifdef HAVE_AVX2
    if (isa_chosen() == &isa_avx512)
        quantize_avx512(x, blocks, count);
    else if (isa_chosen() == &isa_avx2)
        quantize_avx2(x, blocks, count);
    else
#endif
        quantize_any(x, blocks, count);
}

static void dequantize(const uint8_t *blocks, float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        dequantize_block(blocks + i * Q2_K_BYTES, x + i * SUPER);
}

const codec codec_q2_k = {quantize, dequantize};
