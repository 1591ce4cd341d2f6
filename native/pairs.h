/* Between learn.c and pairs.c only: how often each pair of neighbours occurs and where, and which comes next.
 * It knows neither words nor spellings. Functions return CHRONOS_OK or CHRONOS_NO_MEMORY. */
#ifndef CHRONOS_PAIRS_H
#define CHRONOS_PAIRS_H

#include "tokens.h"

typedef struct {
    uint64_t key;  /* left << 32 | right */
    int64_t count; /* weighted by the words' counts; never too low, and exact between two joins */
    size_t list;   /* in `lists`: how many places, then the places, ascending; some may be no longer true */
} pair;

typedef struct {
    int64_t count;
    uint64_t key;
} candidate;

typedef struct {
    pair *table; /* key EMPTY_PAIR: none */
    unsigned shift;
    size_t used;
    candidate *heap;
    size_t heap_size, heap_room;
    uint32_t *lists;
    size_t lists_size, lists_room;
} pairs;

#define EMPTY_PAIR UINT64_MAX

static inline uint64_t pair_key(int32_t left, int32_t right) { return (uint64_t)left << 32 | (uint32_t)right; }

int pairs_begin(pairs *t);
void pairs_end(pairs *t);
pair *pairs_find(const pairs *t, uint64_t key); /* NULL where it never occurred */
/* Finds or adds; valid until the next pairs_add. NULL without memory. */
pair *pairs_add(pairs *t, uint64_t key);
/* Gives a pair its list of n places; returns where in `lists` they go, or 0 without memory. */
size_t pairs_give_list(pairs *t, pair *p, uint32_t n);
/* Makes a pair, whose count rose, a candidate. */
int pairs_offer(pairs *t, uint64_t key, int64_t count);
/* Takes the most frequent pair, of equals that of the smallest left, then right; NULL if none occurs twice. */
pair *pairs_best(pairs *t);

#endif
