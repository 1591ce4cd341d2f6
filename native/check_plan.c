/* Checks of decode steps in C alone, to be run under sanitizers: random plans over random tokens and places.
 * Every kind of step on odd sizes, in buffers that end where the data ends: each ISA near the portable one, and the
 * same bits from any number of threads. Not part of the extension.
 * Run with `make -C native sanitize`; check_steps.py is its counterpart for the built extension. */
#include "check.h"
#include "products.h"
#include "step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 6, MOST = 16 * STEPS, PLACES = 9, TOKENS = 5 };

static size_t from_to(size_t least, size_t most) { return least + noise() % (most - least + 1); }

/* A plan with its arrays. `result` marks those that are compared; a step may read what the last one wrote. */
typedef struct {
    chronos_step steps[STEPS];
    void *arrays[MOST];
    size_t sizes[MOST], last_size;
    int result[MOST], count, kinds[STEPS];
    const float *last;
} plan;

static void *take(plan *p, size_t bytes) {
    p->sizes[p->count] = bytes;
    p->result[p->count] = 0;
    return p->arrays[p->count++] = malloc(bytes);
}

static float *given(plan *p, size_t n, float least, float most) {
    float *array = take(p, n * sizeof *array);
    for (size_t i = 0; i < n; i++)
        array[i] = least + (most - least) * (float)noise() * 0x1p-32f;
    return array;
}

static float *small(plan *p, size_t n) { return given(p, n, -1, 1); }

static float *whole_numbers(plan *p, size_t n) { /* whose products have no rounding, so that no pick depends on it */
    float *array = take(p, n * sizeof *array);
    for (size_t i = 0; i < n; i++)
        array[i] = (float)(int)from_to(0, 6) - 3;
    return array;
}

/* What a step writes: compared, and perhaps read by the next. */
static float *written(plan *p, size_t n, int before) {
    float *array = before ? small(p, n) : take(p, n * sizeof *array);
    p->result[p->count - 1] = 1;
    p->last = array, p->last_size = n;
    return array;
}

static const float *read_on(plan *p, size_t n) {
    return p->last && p->last_size >= n && noise() % 2 ? p->last : small(p, n);
}

static const uint8_t *weights(plan *p, int type, size_t n, size_t k, int packed) {
    format f = format_of(type);
    float *w = malloc(n * k * sizeof *w);
    for (size_t i = 0; i < n * k; i++)
        w[i] = (float)(int32_t)noise() * 0x1p-31f;
    uint8_t *blocks = take(p, n * (k / f.weights * f.bytes)), *panels = blocks;
    chronos_quantize(type, w, n, k, blocks);
    if (packed) {
        panels = take(p, chronos_packed_bytes(type, n, k));
        chronos_pack(type, blocks, n, k, panels);
    }
    free(w);
    return panels;
}

static int a_type(int packed) {
    static const int types[] = {CHRONOS_Q4_0,    CHRONOS_Q8_0,     CHRONOS_Q2_K, CHRONOS_INT4_32,
                                CHRONOS_INT4_64, CHRONOS_INT4_128, CHRONOS_F16,  CHRONOS_BF16};
    return types[noise() % (packed ? 8 : 2)];
}

static void embed(plan *p, chronos_step *s) {
    s->d = from_to(1, 70);
    int packed = s->kind == STEP_EMBED_PACKED;
    if (packed || noise() % 2) {
        s->type = a_type(packed);
        s->d = from_to(1, 3) * format_of(s->type).weights;
        s->w = weights(p, s->type, TOKENS, s->d, packed);
    } else
        s->w = small(p, TOKENS * s->d);
    if (packed)
        s->z = take(p, (s->d / format_of(s->type).weights * format_of(s->type).bytes + 3) / 4 * 4);
    s->v = noise() % 2 ? small(p, PLACES * s->d) : NULL;
    s->y = written(p, s->d, 0);
}

static void rows(plan *p, chronos_step *s) {
    size_t d = s->d = from_to(1, 70), n = s->items = (uint32_t)from_to(1, 9);
    s->grain = (uint32_t)from_to(1, n);
    if (s->kind == STEP_RMS_NORM) {
        s->k = noise() % 2 ? d : 0;
        s->x = small(p, n * d), s->v = small(p, s->k ? n * d : d), s->f = 1e-5f;
    } else if (s->kind == STEP_GATED)
        s->x = small(p, n * d), s->v = small(p, n * d), s->u = small(p, d), s->f = 1e-5f;
    else { /* STEP_DECAY */
        s->k = d;
        s->x = given(p, n * d, -30, 30), s->u = small(p, n * d), s->v = small(p, n);
    }
    s->y = written(p, n * d, 0);
}

static void products(plan *p, chronos_step *s) {
    s->items = (uint32_t)from_to(1, 40);
    if (s->kind == STEP_PRODUCT) {
        s->d = from_to(1, 70), s->grain = 4 * (uint32_t)from_to(1, 10), s->add = noise() % 2;
        s->w = small(p, s->items * s->d), s->x = read_on(p, s->d);
        s->v = noise() % 2 ? small(p, s->items) : NULL;
    } else {
        s->type = a_type(s->kind == STEP_PACKED);
        s->d = from_to(1, 3) * format_of(s->type).weights;
        s->w = weights(p, s->type, s->items, s->d, s->kind == STEP_PACKED);
        s->x = small(p, s->d);
    }
    s->y = written(p, s->items, s->add);
}

static void one_row(plan *p, chronos_step *s) {
    size_t d = s->d = from_to(1, 70);
    switch (s->kind) {
    case STEP_LAYER_NORM:
        s->x = small(p, d), s->v = small(p, d), s->u = noise() % 2 ? small(p, d) : NULL, s->f = 1e-5f;
        break;
    case STEP_ADD:
        s->x = read_on(p, d), s->v = noise() % 2 ? small(p, d) : NULL;
        break;
    case STEP_CONV:
        s->room = from_to(2, 5);
        s->w = small(p, s->room * d), s->x = read_on(p, d), s->u = written(p, (s->room - 1) * d, 1);
        break;
    case STEP_GELU: s->x = read_on(p, d); break;
    default: s->x = given(p, 2 * d, -5, 5); /* STEP_SWIGLU, STEP_RELU2 */
    }
    s->y = written(p, d, s->kind == STEP_ADD);
}

static void placed(plan *p, chronos_step *s) {
    size_t d = s->d = from_to(1, 70);
    if (s->kind == STEP_STORE) {
        s->x = read_on(p, d), s->y = written(p, PLACES * d, 1);
    } else if (s->kind == STEP_TURNS) {
        double *rates = take(p, d * sizeof *rates);
        for (size_t i = 0; i < d; i++)
            rates[i] = noise() * 0x1p-32;
        s->w = rates, s->y = written(p, d, 0), s->u = written(p, d, 0);
    } else { /* STEP_ROTARY */
        s->items = (uint32_t)from_to(1, 6), s->grain = (uint32_t)from_to(1, 3), s->k = 2 * d;
        s->v = small(p, d), s->u = small(p, d), s->y = written(p, s->items * s->k, 1);
    }
}

static void heads(plan *p, chronos_step *s) {
    size_t h = s->groups = from_to(1, 3), k = s->k = from_to(1, 70);
    h *= from_to(1, 3);
    s->heads = h, s->items = (uint32_t)h, s->grain = (uint32_t)from_to(1, h), s->f = 0.5f;
    if (s->kind == STEP_ATTEND) {
        size_t wide = PLACES * s->groups * k;
        s->room = PLACES, s->x = small(p, h * k), s->v = small(p, wide), s->u = small(p, wide);
        s->z = take(p, h * PLACES * sizeof(float));
        s->d = noise() % 2 ? from_to(1, PLACES - 1) : 0;
        s->picks = s->d ? take(p, s->d * sizeof *s->picks) : NULL;
        for (size_t i = 0; i < s->d; i++)
            s->picks[i] = (int32_t)i; /* which are there once there are more than d */
        s->y = written(p, h * k, 0);
    } else if (s->kind == STEP_DELTA) {
        size_t d = s->d = from_to(1, 70);
        s->x = given(p, h * (2 * k + d), -0.2f, 0.2f), s->v = given(p, h * k, 0, 1), s->z = small(p, h);
        s->u = written(p, h * d * k, 1), s->y = written(p, h * d, 0);
    } else { /* STEP_PICK */
        s->items = 1, s->d = k, s->k = from_to(1, PLACES - 1);
        s->x = whole_numbers(p, h * s->d), s->w = whole_numbers(p, PLACES * s->d), s->v = whole_numbers(p, h);
        s->z = take(p, PLACES * sizeof(float)), s->y = take(p, s->k * sizeof(float));
        s->picks = take(p, s->k * sizeof *s->picks);
        p->result[p->count - 1] = 2;
    }
}

static void add_step(plan *p, chronos_step *s) {
    *s = (chronos_step){.kind = (int32_t)(noise() % STEP_KINDS), .items = 1, .grain = 1};
    switch (s->kind) {
    case STEP_EMBED: case STEP_EMBED_PACKED: embed(p, s); break;
    case STEP_RMS_NORM: case STEP_GATED: case STEP_DECAY: rows(p, s); break;
    case STEP_PRODUCT: case STEP_BLOCKS: case STEP_PACKED: products(p, s); break;
    case STEP_TURNS: case STEP_ROTARY: case STEP_STORE: placed(p, s); break;
    case STEP_ATTEND: case STEP_DELTA: case STEP_PICK: heads(p, s); break;
    default: one_row(p, s);
    }
}

static void fail(const char *what, size_t number) {
    fprintf(stderr, "FAILED: %s (%s, plan %zu)\n", what, chronos_isa_name(), number);
    exit(1);
}

/* Plan `number`, run from place 0 to the last, always the same. */
static plan *ran(const char *isa, int threads, size_t number) {
    plan *p = calloc(1, sizeof *p);
    chronos_isa_choose(isa);
    chronos_set_threads(threads);
    seed = number;
    for (int i = 0; i < STEPS; i++)
        add_step(p, p->steps + i);
    for (int64_t at = 0; at < PLACES; at++)
        if (chronos_plan_run(p->steps, STEPS, noise() % TOKENS, at) != CHRONOS_OK)
            fail("refused", number);
    return p;
}

/* Numbers agree to 2^-14 of the largest in their array, or to the bit, as picks always do. */
static void compare(const plan *a, const plan *b, int bits, const char *what, size_t number) {
    for (int j = 0; j < a->count; j++) {
        const float *x = a->arrays[j], *y = b->arrays[j];
        float largest = 1;
        if (!a->result[j])
            continue;
        if ((bits || a->result[j] == 2) && memcmp(x, y, a->sizes[j]))
            fail(what, number);
        for (size_t i = 0; a->result[j] == 1 && i < a->sizes[j] / sizeof *x; i++)
            largest = fmaxf(largest, fabsf(y[i]));
        for (size_t i = 0; a->result[j] == 1 && i < a->sizes[j] / sizeof *x; i++)
            if (!(fabsf(x[i] - y[i]) <= 0x1p-14f * largest))
                fail(what, number);
    }
}

static void release(plan *p) {
    for (int j = 0; j < p->count; j++)
        free(p->arrays[j]);
    free(p);
}

/* With any argument fewer plans, as in check_packed.c. */
int main(int count, char **arguments) {
    (void)arguments;
    const char *isa;
    for (int i = 0; (isa = chronos_isa_at(i)); i++) {
        for (size_t number = 1; number <= (count > 1 ? 60 : 600); number++) {
            plan *truth = ran("portable", 1, number), *alone = ran(isa, 1, number);
            plan *shared = ran(isa, 3, number);
            compare(alone, truth, 0, "an ISA differs", number);
            compare(shared, alone, 1, "threads change results", number);
            release(truth), release(alone), release(shared);
        }
        printf("steps, %s: good\n", isa);
    }
    chronos_set_threads(1);
    return 0;
}
