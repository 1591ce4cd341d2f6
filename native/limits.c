/* What the hardware allows: reading memory with the same threads as the kernels, and jobs that do nothing.
 * No product can be faster than its weights can be read. Used by benchmarks alone. */
#include "chronos_native.h"

#include <stdlib.h>

enum { TASK_BYTES = 1 << 20, LANES = 32 };

typedef struct {
    const uint8_t *data;
    size_t bytes;
    uint64_t *sums; /* one for each task */
} reading;

static void read_task(void *context, size_t task) {
    const reading *r = context;
    const uint8_t *p = r->data + task * TASK_BYTES;
    size_t bytes = r->bytes - task * TASK_BYTES < TASK_BYTES ? r->bytes - task * TASK_BYTES : TASK_BYTES;
    uint64_t sums[LANES] = {0}, sum = 0;
    for (size_t i = 0; i + sizeof sums <= bytes; i += sizeof sums)
        for (int j = 0; j < LANES; j++) {
            uint64_t word;
            memcpy(&word, p + i + j * sizeof word, sizeof word);
            sums[j] += word;
        }
    for (int j = 0; j < LANES; j++)
        sum += sums[j];
    r->sums[task] = sum;
}

/* Reads all of data (bytes,) and returns the sum of its 64-bit words (of whole 256-byte steps), so that no
 * compiler can leave the reading out. */
uint64_t chronos_read(const uint8_t *data, size_t bytes) {
    size_t tasks = (bytes + TASK_BYTES - 1) / TASK_BYTES;
    uint64_t sum = 0, *sums = malloc(tasks * sizeof *sums + 1);
    if (!sums)
        return 0;
    reading r = {data, bytes, sums};
    pool_run(read_task, &r, tasks);
    for (size_t i = 0; i < tasks; i++)
        sum += sums[i];
    free(sums);
    return sum;
}

static void nothing(void *context, size_t task) { (void)context, (void)task; }

/* Runs so many jobs of a task a thread, and one more in every second: a late worker must not take the next
 * job for its own. */
void chronos_empty_jobs(size_t jobs) {
    for (size_t i = 0; i < jobs; i++)
        pool_run(nothing, NULL, (size_t)chronos_threads() + i % 2);
}
