/* How often each word occurs: an open-addressed table that grows.
 * A short word is its own key and lies in the table; a longer one has its hash there and its bytes in a heap
 * of bytes. Nothing is ever removed. Not for several threads at once: give each its own and merge. */
#include "tokens.h"

#include <stdlib.h>

typedef struct {
    word_key key; /* a longer word: a hash and, in b, LONG_KEY above where its bytes begin */
    int64_t count; /* 0: empty */
    uint32_t size, order;
} entry;

struct chronos_counter {
    entry *table;
    unsigned shift; /* 1 << (64 - shift) places */
    size_t words, bytes;
    uint8_t *heap;
    size_t heap_size, heap_room;
};

enum { FIRST_SHIFT = 64 - 12, BATCH = 128 };
#define MOST_WORDS 0xffffffffu
#define OFFSET(b) ((b) & 0x00ffffffffffffffu)

static size_t places(const chronos_counter *t) { return (size_t)1 << (64 - t->shift); }

chronos_counter *chronos_counter_new(void) {
    chronos_counter *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->shift = FIRST_SHIFT;
    t->table = calloc(places(t), sizeof *t->table);
    if (!t->table) {
        free(t);
        return NULL;
    }
    return t;
}

void chronos_counter_free(chronos_counter *t) {
    if (t) {
        free(t->table);
        free(t->heap);
        free(t);
    }
}

static uint64_t hash_entry(word_key key) { return key.b >> 56 == LONG_KEY ? key.a : hash_key(key); }

static int grow(chronos_counter *t) {
    entry *old = t->table, *table = calloc(2 * places(t), sizeof *table);
    if (!table)
        return CHRONOS_NO_MEMORY;
    size_t n = places(t), mask = 2 * n - 1;
    t->shift--;
    for (size_t i = 0; i < n; i++)
        if (old[i].count) {
            size_t place = hash_entry(old[i].key) >> t->shift;
            while (table[place].count)
                place = (place + 1) & mask;
            table[place] = old[i];
        }
    t->table = table;
    free(old);
    return CHRONOS_OK;
}

static int keep_bytes(chronos_counter *t, const uint8_t *word, size_t size) {
    if (t->heap_room - t->heap_size < size) {
        size_t room = 2 * t->heap_room + size + 4096;
        uint8_t *heap = realloc(t->heap, room);
        if (!heap)
            return CHRONOS_NO_MEMORY;
        t->heap = heap, t->heap_room = room;
    }
    memcpy(t->heap + t->heap_size, word, size);
    t->heap_size += size;
    return CHRONOS_OK;
}

static int same(const chronos_counter *t, const entry *e, word_key key, const uint8_t *word, size_t size) {
    if (size <= SHORT_WORD)
        return e->key.a == key.a && e->key.b == key.b;
    return e->key.a == key.a && e->size == size && e->key.b >> 56 == LONG_KEY &&
           memcmp(t->heap + OFFSET(e->key.b), word, size) == 0;
}

/* Adds `times` to a word whose key and hash are known. */
static int add(chronos_counter *t, word_key key, uint64_t hash, const uint8_t *word, size_t size,
               int64_t times) {
    size_t mask = places(t) - 1, place = hash >> t->shift;
    for (; t->table[place].count; place = (place + 1) & mask)
        if (same(t, &t->table[place], key, word, size)) {
            t->table[place].count += times;
            return CHRONOS_OK;
        }
    if (t->words >= MOST_WORDS)
        return CHRONOS_NO_MEMORY;
    if (size > SHORT_WORD) {
        key.b = (uint64_t)LONG_KEY << 56 | t->heap_size;
        if (keep_bytes(t, word, size) != CHRONOS_OK)
            return CHRONOS_NO_MEMORY;
    }
    t->table[place] = (entry){key, times, (uint32_t)size, (uint32_t)t->words};
    t->words++;
    t->bytes += size;
    return 2 * t->words < places(t) ? CHRONOS_OK : grow(t);
}

static word_key key_of(const uint8_t *word, size_t size, size_t room) {
    if (size <= SHORT_WORD)
        return short_key(word, size, room);
    return (word_key){hash_bytes(word, size), (uint64_t)LONG_KEY << 56};
}

/* A batch of words is cut, then looked up: meanwhile the table's lines come from memory. */
int chronos_counter_add(chronos_counter *t, const chronos_cutter *cutter, const uint8_t *text, size_t size) {
    uint32_t ends[BATCH];
    word_key keys[BATCH];
    uint64_t hashes[BATCH];
    size_t at = 0;
    while (at < size) {
        size_t n = cut_words(cutter, text, at, size, ends, BATCH), start = at;
        for (size_t i = 0; i < n; start = ends[i++]) {
            keys[i] = key_of(text + start, ends[i] - start, size - start);
            hashes[i] = hash_entry(keys[i]);
            FETCH(t->table + (hashes[i] >> t->shift));
        }
        for (size_t i = 0; i < n; at = ends[i++])
            if (add(t, keys[i], hashes[i], text + at, ends[i] - at, 1) != CHRONOS_OK)
                return CHRONOS_NO_MEMORY;
    }
    return CHRONOS_OK;
}

int chronos_counter_add_counted(chronos_counter *t, const uint8_t *data, const int64_t *ends,
                                const int64_t *counts, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < n; at = (size_t)ends[i++]) {
        size_t size = (size_t)ends[i] - at, room = (size_t)ends[n - 1] - at;
        word_key key = key_of(data + at, size, room);
        if (counts[i] && size && add(t, key, hash_entry(key), data + at, size, counts[i]) != CHRONOS_OK)
            return CHRONOS_NO_MEMORY;
    }
    return CHRONOS_OK;
}

size_t chronos_counter_words(const chronos_counter *t) { return t->words; }
size_t chronos_counter_bytes(const chronos_counter *t) { return t->bytes; }

static void write_word(const chronos_counter *t, const entry *e, uint8_t *out) {
    if (e->key.b >> 56 == LONG_KEY) {
        memcpy(out, t->heap + OFFSET(e->key.b), e->size);
        return;
    }
    for (uint32_t i = 0; i < e->size; i++)
        out[i] = (uint8_t)((i < 8 ? e->key.a : e->key.b) >> 8 * (i % 8));
}

/* Sizes to their words' places, summed to ends, then bytes to where they end. */
void chronos_counter_export(const chronos_counter *t, uint8_t *data, int64_t *ends, int64_t *counts) {
    for (size_t i = 0; i < places(t); i++)
        if (t->table[i].count) {
            ends[t->table[i].order] = t->table[i].size;
            counts[t->table[i].order] = t->table[i].count;
        }
    for (size_t i = 1; i < t->words; i++)
        ends[i] += ends[i - 1];
    for (size_t i = 0; i < places(t); i++)
        if (t->table[i].count)
            write_word(t, &t->table[i], data + ends[t->table[i].order] - t->table[i].size);
}
