/* The pairs of neighbours while merges are learned: a table of counts, lists of places, a heap of candidates.
 * Counts in the heap may be old, but never too low, for every rise is offered anew; an old one is put back with
 * its present count when it comes up. Nothing here decides what a join changes: that is learn.c. */
#include "pairs.h"

#include <stdlib.h>

enum { FIRST_SHIFT = 64 - 16, MIN_COUNT = 2 }; /* a pair seen once is no habit of the language */

static size_t places(const pairs *t) { return (size_t)1 << (64 - t->shift); }

static size_t place_of(const pairs *t, uint64_t key) {
    uint64_t h = key * MIX;
    return ((h ^ h >> 32) * MIX) >> t->shift;
}

static pair *new_table(unsigned shift) {
    size_t n = (size_t)1 << (64 - shift);
    pair *table = malloc(n * sizeof *table);
    for (size_t i = 0; table && i < n; i++)
        table[i] = (pair){EMPTY_PAIR, 0, 0};
    return table;
}

int pairs_begin(pairs *t) {
    *t = (pairs){NULL, FIRST_SHIFT, 0, NULL, 0, 0, NULL, 0, 0};
    t->table = new_table(t->shift);
    return t->table ? CHRONOS_OK : CHRONOS_NO_MEMORY;
}

void pairs_end(pairs *t) {
    free(t->table);
    free(t->heap);
    free(t->lists);
}

pair *pairs_find(const pairs *t, uint64_t key) {
    size_t mask = places(t) - 1, place = place_of(t, key);
    for (;; place = (place + 1) & mask)
        if (t->table[place].key == key || t->table[place].key == EMPTY_PAIR)
            return t->table[place].key == key ? t->table + place : NULL;
}

/* Pairs that occur no more are left behind. */
static int rehash(pairs *t) {
    size_t n = places(t), alive = 0;
    for (size_t i = 0; i < n; i++)
        alive += t->table[i].key != EMPTY_PAIR && t->table[i].count;
    pair *old = t->table, *table = new_table(t->shift - (3 * alive > n));
    if (!table)
        return CHRONOS_NO_MEMORY;
    t->shift -= 3 * alive > n;
    t->table = table;
    t->used = alive;
    size_t mask = places(t) - 1;
    for (size_t i = 0; i < n; i++)
        if (old[i].key != EMPTY_PAIR && old[i].count) {
            size_t place = place_of(t, old[i].key);
            while (table[place].key != EMPTY_PAIR)
                place = (place + 1) & mask;
            table[place] = old[i];
        }
    free(old);
    return CHRONOS_OK;
}

pair *pairs_add(pairs *t, uint64_t key) {
    if (3 * t->used >= 2 * places(t) && rehash(t) != CHRONOS_OK)
        return NULL;
    size_t mask = places(t) - 1, place = place_of(t, key);
    while (t->table[place].key != key && t->table[place].key != EMPTY_PAIR)
        place = (place + 1) & mask;
    if (t->table[place].key == EMPTY_PAIR) {
        t->table[place].key = key;
        t->used++;
    }
    return t->table + place;
}

size_t pairs_give_list(pairs *t, pair *p, uint32_t n) {
    size_t need = (size_t)n + 1;
    if (t->lists_room - t->lists_size < need) {
        size_t room = t->lists_room + t->lists_room / 2 + need + 4096;
        uint32_t *lists = realloc(t->lists, room * sizeof *lists);
        if (!lists)
            return 0;
        t->lists = lists, t->lists_room = room;
    }
    p->list = t->lists_size;
    t->lists[p->list] = n;
    t->lists_size += need;
    return p->list + 1;
}

static int before(candidate a, candidate b) {
    return a.count != b.count ? a.count > b.count : a.key < b.key;
}

int pairs_offer(pairs *t, uint64_t key, int64_t count) {
    if (count < MIN_COUNT)
        return CHRONOS_OK;
    if (t->heap_size == t->heap_room) {
        size_t room = 2 * t->heap_room + 4096;
        candidate *heap = realloc(t->heap, room * sizeof *heap);
        if (!heap)
            return CHRONOS_NO_MEMORY;
        t->heap = heap, t->heap_room = room;
    }
    candidate item = {count, key};
    size_t i = t->heap_size++;
    for (; i && before(item, t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = item;
    return CHRONOS_OK;
}

/* The top's place goes to `item`, which sinks to where it belongs. */
static void replace_top(pairs *t, candidate item) {
    size_t i = 0, child;
    for (; (child = 2 * i + 1) < t->heap_size; i = child) {
        child += child + 1 < t->heap_size && before(t->heap[child + 1], t->heap[child]);
        if (!before(t->heap[child], item))
            break;
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = item;
}

static void drop_top(pairs *t) {
    candidate last = t->heap[--t->heap_size];
    if (t->heap_size)
        replace_top(t, last);
}

pair *pairs_best(pairs *t) {
    while (t->heap_size) {
        candidate top = t->heap[0];
        pair *p = pairs_find(t, top.key);
        int64_t count = p ? p->count : 0;
        if (count >= MIN_COUNT && count < top.count) {
            replace_top(t, (candidate){count, top.key});
            continue;
        }
        drop_top(t);
        if (count == top.count)
            return p;
    }
    return NULL;
}
