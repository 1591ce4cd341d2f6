/* What the hardware allows: reading with the threads of the kernels, multiply-adds in registers, empty jobs.
 * No product can be faster than its weights can be read, nor than its multiply-adds alone. Used by benchmarks
 * alone; the loops themselves are peaks.h's. */
#include "peaks.h"

#include <stdlib.h>

enum { TASK_BYTES = 1 << 20 };

static const limit_table *chosen_limits(void) {
#ifdef HAVE_AVX2
    const char *isa = isa_chosen()->name;
    if (strcmp(isa, "avx512") == 0)
        return &limits_avx512;
    if (strcmp(isa, "avx2") == 0)
        return &limits_avx2;
#endif
    return &limits_portable;
}

typedef struct {
    const uint8_t *data;
    size_t bytes, part, times;
    uint64_t *sums; /* one for each task */
} reading;

static void read_task(void *context, size_t task) {
    const reading *r = context;
    const uint8_t *p = r->data + task * r->part;
    size_t left = r->bytes - task * r->part, bytes = left < r->part ? left : r->part;
    uint64_t sum = 0;
    for (size_t i = 0; i < r->times; i++)
        sum += chosen_limits()->read(p, bytes / READ_STEP * READ_STEP);
    r->sums[task] = sum;
}

uint64_t chronos_read(const uint8_t *data, size_t bytes, size_t times) {
    size_t threads = (size_t)chronos_threads(), share = (bytes + threads - 1) / threads;
    /* Again and again: to each thread its own part, which may fit its cache. Once: whoever is free reads on. */
    size_t part = times > 1 ? (share + READ_STEP - 1) / READ_STEP * READ_STEP + READ_STEP : TASK_BYTES;
    size_t tasks = (bytes + part - 1) / part;
    uint64_t sum = 0, *sums = malloc(tasks * sizeof *sums + 1);
    if (!sums)
        return 0;
    reading r = {data, bytes, part, times, sums};
    pool_run(read_task, &r, tasks);
    for (size_t i = 0; i < tasks; i++)
        sum += sums[i];
    free(sums);
    return sum;
}

typedef struct {
    peak_fn *peak;
    size_t rounds;
} peaking;

static void peak_task(void *context, size_t task) {
    const peaking *p = context;
    volatile float kept = p->peak(p->rounds);
    (void)kept, (void)task;
}

double chronos_peak(int kind, size_t rounds) {
    const limit_table *t = chosen_limits();
    size_t threads = (size_t)chronos_threads();
    if (kind < 0 || kind >= PEAKS || !t->peak[kind] || (kind == PEAK_BF16 && !chronos_gemm_bf16()))
        return 0;
    peaking p = {t->peak[kind], rounds};
    pool_run(peak_task, &p, threads);
    return (double)t->operations[kind] * (double)rounds * (double)threads;
}

static void nothing(void *context, size_t task) { (void)context, (void)task; }

/* Runs so many jobs of a task a thread, and one more in every second: a late worker must not take the next
 * job for its own. */
void chronos_empty_jobs(size_t jobs) {
    for (size_t i = 0; i < jobs; i++)
        pool_run(nothing, NULL, (size_t)chronos_threads() + i % 2);
}

static uint64_t read_portable(const uint8_t *data, size_t bytes) {
    enum { LANES = READ_STEP / 8 };
    uint64_t sums[LANES] = {0}, sum = 0;
    for (size_t i = 0; i < bytes; i += READ_STEP)
        for (int j = 0; j < LANES; j++) {
            uint64_t word;
            memcpy(&word, data + i + j * sizeof word, sizeof word);
            sums[j] += word;
        }
    for (int j = 0; j < LANES; j++)
        sum += sums[j];
    return sum;
}

/* No peak: what a compiler makes of plain C is not what the CPU can do. */
const limit_table limits_portable = {read_portable, {0}, {0}};
