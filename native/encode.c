/* Texts to ids: words are cut, looked up among those met before, and joined only if they are new.
 * The cache is a fixed number of lines of two words each; a new word takes the place of one in its line, so it
 * is bounded and needs no clearing. What does not fit a line (words of 16 bytes and more, more than three ids)
 * lies in a store of fixed size; when that is full, everything is forgotten. Threads share nothing. */
#include "tokens.h"

#include <stdlib.h>

enum { LINE_BITS = 16, STORE = 1 << 22, LONGEST = 255, INLINE_IDS = 3, BATCH = 128 };

typedef struct {
    word_key key; /* a longer word: a hash and, in b, LONG_KEY, 24 bits of size, 32 of where its bytes lie */
    int32_t ids[INLINE_IDS]; /* more than three: ids[0] is where they lie in the store */
    uint32_t n;
} entry;

typedef struct {
    entry new, old;
} line; /* 64 bytes, as a cache line of the processor */

struct chronos_cache {
    line *lines;
    void *memory; /* of which `lines` is the aligned part */
    uint32_t used;
    _Alignas(8) uint8_t store[STORE];
};

chronos_cache *chronos_cache_new(void) {
    chronos_cache *c = malloc(sizeof *c);
    if (!c)
        return NULL;
    c->used = 0;
    c->memory = calloc(((size_t)1 << LINE_BITS) + 1, sizeof(line));
    if (!c->memory) {
        free(c);
        return NULL;
    }
    c->lines = (line *)(((uintptr_t)c->memory + 63) / 64 * 64);
    return c;
}

void chronos_cache_free(chronos_cache *c) {
    if (c) {
        free(c->memory);
        free(c);
    }
}

/* Where `size` bytes may lie in the store, a multiple of 4; forgets everything if there is no room. */
static uint32_t take(chronos_cache *c, size_t size) {
    uint32_t at = c->used;
    if (STORE - at < size) {
        memset(c->lines, 0, sizeof(line) << LINE_BITS);
        at = 0;
    }
    c->used = at + (uint32_t)((size + 3) / 4 * 4);
    return at;
}

static uint64_t long_tag(size_t size) { return (uint64_t)LONG_KEY << 24 | size; }

static inline int is(const chronos_cache *c, const entry *e, word_key key, const uint8_t *word, size_t size) {
    if (size <= SHORT_WORD)
        return e->key.a == key.a && e->key.b == key.b;
    return e->key.a == key.a && e->key.b >> 32 == long_tag(size) &&
           memcmp(c->store + (uint32_t)e->key.b, word, size) == 0;
}

/* Copies an entry's ids; three are written whatever n is, so ids has SPARE room. */
static inline size_t give(const chronos_cache *c, const entry *e, int32_t *ids) {
    if (e->n <= INLINE_IDS)
        memcpy(ids, e->ids, sizeof e->ids);
    else
        memcpy(ids, c->store + (uint32_t)e->ids[0], e->n * sizeof *ids);
    return e->n;
}

static void remember(chronos_cache *c, line *l, word_key key, const uint8_t *word, size_t size,
                     const int32_t *ids, size_t n) {
    size_t word_room = size > SHORT_WORD ? (size + 3) / 4 * 4 : 0;
    size_t ids_room = n > INLINE_IDS ? n * sizeof *ids : 0;
    uint32_t at = word_room + ids_room ? take(c, word_room + ids_room) : 0;
    entry e = {key, {0, 0, 0}, (uint32_t)n};
    if (word_room) {
        memcpy(c->store + at, word, size);
        e.key.b = long_tag(size) << 32 | at;
    }
    if (ids_room) {
        memcpy(c->store + at + word_room, ids, ids_room);
        e.ids[0] = (int32_t)(at + word_room);
    } else
        memcpy(e.ids, ids, n * sizeof *ids);
    l->old = l->new;
    l->new = e;
}

typedef struct {
    const chronos_bpe *bpe;
    chronos_cache *cache;
    const chronos_cutter *cutter;
} encoding;

/* One word to ids; how many, or -1 without memory. */
static inline int64_t encode_word(const encoding *e, word_key key, uint64_t hash, const uint8_t *word,
                                  size_t size, int32_t *ids) {
    line *l = e->cache->lines + (hash >> (64 - LINE_BITS));
    if (size > LONGEST)
        return merge_word(e->bpe, word, size, ids);
    if (is(e->cache, &l->new, key, word, size))
        return (int64_t)give(e->cache, &l->new, ids);
    if (is(e->cache, &l->old, key, word, size))
        return (int64_t)give(e->cache, &l->old, ids);
    int64_t n = merge_word(e->bpe, word, size, ids);
    if (n > 0)
        remember(e->cache, l, key, word, size, ids, (size_t)n);
    return n;
}

/* text[..size) to ids; how many, or -1 without memory. Words are cut in batches, and while a batch is hashed
 * the cache's lines come from memory. */
static int64_t encode_text(const encoding *e, const uint8_t *text, size_t size, int32_t *ids) {
    uint32_t ends[BATCH];
    word_key keys[BATCH];
    uint64_t hashes[BATCH];
    size_t at = 0, made = 0;
    while (at < size) {
        size_t n = cut_words(e->cutter, text, at, size, ends, BATCH), start = at;
        for (size_t i = 0; i < n; start = ends[i++]) {
            size_t length = ends[i] - start;
            if (length <= SHORT_WORD) {
                keys[i] = short_key(text + start, length, size - start);
                hashes[i] = hash_key(keys[i]);
            } else {
                hashes[i] = length <= LONGEST ? hash_bytes(text + start, length) : 0;
                keys[i] = (word_key){hashes[i], 0};
            }
            FETCH(e->cache->lines + (hashes[i] >> (64 - LINE_BITS)));
        }
        for (size_t i = 0; i < n; at = ends[i++]) {
            int64_t new = encode_word(e, keys[i], hashes[i], text + at, ends[i] - at, ids + made);
            if (new < 0)
                return -1;
            made += (size_t)new;
        }
    }
    return (int64_t)made;
}

int chronos_encode(const chronos_bpe *bpe, chronos_cache *cache, const chronos_cutter *cutter,
                   const uint8_t *data, const int64_t *ends, size_t n, int32_t *ids, int64_t *id_ends) {
    encoding e = {bpe, cache, cutter};
    int64_t at = 0, made = 0;
    for (size_t i = 0; i < n; at = ends[i++]) {
        int64_t new = encode_text(&e, data + at, (size_t)(ends[i] - at), ids + made);
        if (new < 0)
            return CHRONOS_NO_MEMORY;
        id_ends[i] = made += new;
    }
    return CHRONOS_OK;
}
