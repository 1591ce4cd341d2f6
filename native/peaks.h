/* The header of the limits: what each ISA's loops of reading and of multiply-adds promise.
 * No kernel uses them; benchmarks divide by them. */
#ifndef CHRONOS_PEAKS_H
#define CHRONOS_PEAKS_H

#include "chronos_native.h"

enum { READ_STEP = 256 }; /* bytes */

/* The sum of the 64-bit words of data (bytes,), a multiple of READ_STEP: nothing is left unread. */
typedef uint64_t read_fn(const uint8_t *data, size_t bytes);

/* So many rounds of multiply-adds that need nothing but registers and never wait for each other. */
typedef float peak_fn(size_t rounds);
enum { PEAK_FLOAT32, PEAK_INT8, PEAK_BF16, PEAKS };

/* operations: multiplications and additions of a round; a NULL peak has no instruction here. */
typedef struct {
    read_fn *read;
    peak_fn *peak[PEAKS];
    size_t operations[PEAKS];
} limit_table;

extern const limit_table limits_portable;
#ifdef HAVE_AVX2
extern const limit_table limits_avx2, limits_avx512;
#endif

/* Called from Python.
 *   read:  reads data (bytes,) so many times with all threads; the sum of its words (whole steps of 256 bytes)
 *          times `times`, modulo 2^64; with times > 1 each thread keeps to a part of its own
 *   peak:  the operations that all threads did together, of the kind at its rate; 0 if this ISA has none */
uint64_t chronos_read(const uint8_t *data, size_t bytes, size_t times);
double chronos_peak(int kind, size_t rounds);
void chronos_empty_jobs(size_t jobs);
int chronos_gemm_bf16(void); /* gemm.c: whether there are instructions for bf16 */

#endif
