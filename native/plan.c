/* One decode step as one call: runs the steps of a plan, each divided among the threads where that pays.
 * Little arithmetic is here: that is in step_rows.h. It decides nothing either: steps.py made the plan. */
#include "products.h"
#include "step.h"

#include <math.h>

typedef struct {
    const chronos_step *step;
    step_kernel *kernel;
    int64_t at;
} job;

static step_kernel *const *chosen_kernels(void) {
    const char *isa = isa_chosen()->name;
#ifdef HAVE_AVX2
    if (strcmp(isa, "avx512") == 0)
        return step_avx512;
    if (strcmp(isa, "avx2") == 0)
        return step_avx2;
#elif defined(HAVE_NEON)
    if (strncmp(isa, "neon", 4) == 0)
        return step_neon;
#endif
    (void)isa;
    return step_portable;
}

static void run_task(void *context, size_t task) {
    const job *j = context;
    size_t begin = task * j->step->grain, end = begin + j->step->grain;
    j->kernel(j->step, begin, end < j->step->items ? end : j->step->items, j->at);
}

static void sift_down(float *heap, size_t n, size_t at, float f) {
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (!(heap[child] < f))
            break;
        heap[at] = heap[child];
    }
    heap[at] = f;
}

static int embed(const chronos_step *s, int64_t token, int64_t at) {
    size_t row = (size_t)token;
    int done = CHRONOS_OK;
    if (s->kind == STEP_EMBED_PACKED) {
        done = chronos_unpack_rows(s->type, s->w, s->d, &token, 1, (uint8_t *)s->z);
        done = done ? done : chronos_dequantize(s->type, (const uint8_t *)s->z, 1, s->d, s->y);
    } else if (s->type) {
        const uint8_t *blocks = (const uint8_t *)s->w + row * row_bytes(s->type, s->d);
        done = chronos_dequantize(s->type, blocks, 1, s->d, s->y);
    } else
        memcpy(s->y, (const float *)s->w + row * s->d, s->d * sizeof *s->y);
    for (size_t i = 0; s->v && i < s->d; i++)
        s->y[i] += s->v[(size_t)at * s->d + i];
    return done;
}

/* The k largest of n scores into picks, ascending; of equal ones the earlier. room (k,) holds a heap of
 * scores, the smallest at its root. */
static void pick(const float *scores, size_t n, float *room, size_t k, int32_t *picks) {
    memcpy(room, scores, k * sizeof *room);
    for (size_t i = k / 2; i-- > 0;)
        sift_down(room, k, i, room[i]);
    for (size_t t = k; t < n; t++)
        if (scores[t] > room[0])
            sift_down(room, k, 0, scores[t]);
    size_t above = 0, found = 0;
    for (size_t t = 0; t < n; t++)
        above += scores[t] > room[0];
    size_t equal = k - above;
    for (size_t t = 0; t < n && found < k; t++)
        if (scores[t] > room[0] || (scores[t] == room[0] && equal && equal--))
            picks[found++] = (int32_t)t;
    while (found < k) /* only where scores are NaN */
        picks[found++] = 0;
}

/* Picks that come from elsewhere than STEP_PICK may be any numbers. */
static int picks_are_there(const chronos_step *s, int64_t at) {
    for (size_t i = 0; s->picks && (size_t)at >= s->d && i < s->d; i++)
        if (s->picks[i] < 0 || (size_t)s->picks[i] >= s->room)
            return 0;
    return 1;
}

static void turns(const chronos_step *s, int64_t at) {
    const double *rates = s->w;
    for (size_t i = 0; i < s->d; i++) {
        double angle = (double)at * rates[i];
        s->y[i] = (float)cos(angle);
        s->u[i] = (float)sin(angle);
    }
}

int chronos_plan_run(const chronos_step *steps, size_t n, int64_t token, int64_t at) {
    step_kernel *const *kernels = chosen_kernels();
    for (const chronos_step *s = steps; s < steps + n; s++) {
        int done = CHRONOS_OK;
        job j = {s, kernels[s->kind], at};
        if (s->kind == STEP_ATTEND && !picks_are_there(s, at))
            return CHRONOS_BAD_INDEX;
        if (s->kind == STEP_EMBED || s->kind == STEP_EMBED_PACKED)
            done = embed(s, token, at);
        else if (s->kind == STEP_BLOCKS)
            done = chronos_matmul(s->type, s->w, s->items, s->d, s->x, 1, s->y);
        else if (s->kind == STEP_PACKED)
            done = chronos_matmul_packed(s->type, s->w, s->items, s->d, s->x, 1, s->y);
        else if (s->kind == STEP_TURNS)
            turns(s, at);
        else if (s->kind == STEP_STORE)
            memcpy(s->y + (size_t)at * s->d, s->x, s->d * sizeof *s->y);
        else if (s->kind == STEP_PICK) {
            if ((size_t)at < s->k)
                continue; /* attention sees them all */
            j.kernel(s, 0, s->items, at);
            pick(s->z, (size_t)at + 1, s->y, s->k, s->picks);
        } else if (s->items <= s->grain)
            j.kernel(s, 0, s->items, at);
        else
            pool_run(run_task, &j, (s->items + s->grain - 1) / s->grain);
        if (done != CHRONOS_OK)
            return done;
    }
    return CHRONOS_OK;
}
