/* Between the checks in C alone: the same random numbers on every machine.
 *
 * Each check is a program of its own, with a seed of its own; nothing here is part of the library.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdlib.h>

static uint64_t seed = 1;

static inline uint32_t noise(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (uint32_t)(seed >> 32);
}

/* -1 … 1. */
static inline float uniform(void) { return (float)(int32_t)noise() * 0x1p-31f; }

/* n of them, in memory that ends with them. */
static inline float *floats(size_t n) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = uniform();
    return x;
}

#endif
