/* The header of the tokenizer's C: its objects, who owns what, and the few inline parts that all share.
 * It knows no vocabulary format and no Python; tokens.py is the face. Everything in it is a type, a prototype
 * or `static inline`. Text is bytes that should be UTF-8; any bytes are safe, and a byte that begins no whole
 * character counts as a character of class "other". Sizes in bytes, at most MOST_TEXT for one call. */
#ifndef CHRONOS_TOKENS_H
#define CHRONOS_TOKENS_H

#include "chronos_native.h"

#ifdef _MSC_VER
#include <intrin.h>
#define FETCH(address) ((void)(address))
#else
#define FETCH(address) __builtin_prefetch(address)
#endif

#define MOST_TEXT 0x7fffffffu /* positions are kept in 32 bits, and ids may not outnumber int32 */

/* ---- cut.c: where words end --------------------------------------------------------------------------- */

enum { OTHER, LETTER, NUMBER, SPACE, CLASSES }; /* classes of characters: \p{L}, \p{N}, \s, the rest */
enum { PATTERN_NONE, PATTERN_GPT2, PATTERN_GPT4, PATTERN_QWEN2, PATTERNS };
enum { PAGE = 256, PAGES = 0x110000 / PAGE };

/* The class of character c is pages[page_of[c / PAGE]][c % PAGE]; pages that are alike are kept once. */
typedef struct chronos_cutter {
    int pattern;
    uint8_t ascii[128];
    uint16_t page_of[PAGES];
    uint8_t pages[][PAGE];
} chronos_cutter;

/* classes (0x110000,): values 0..3, other values count as OTHER. NULL without memory. The caller frees. */
chronos_cutter *chronos_cutter_new(int pattern, const uint8_t *classes);
void chronos_cutter_free(chronos_cutter *cutter);

/* Writes the ends of the next words of text[at..size) to ends, at most `most` of them; returns how many.
 * Zero only if at == size; the last end is where the next call begins. */
size_t cut_words(const chronos_cutter *cutter, const uint8_t *text, size_t at, size_t size, uint32_t *ends,
                 size_t most);

/* ---- count.c: how often each word occurs -------------------------------------------------------------- */

typedef struct chronos_counter chronos_counter;
chronos_counter *chronos_counter_new(void);
void chronos_counter_free(chronos_counter *counter);
/* add: cuts and counts text (size,). add_counted: words data[ends[i-1]..ends[i]), each counts[i] times. After
 * CHRONOS_NO_MEMORY part of the words may be counted. */
int chronos_counter_add(chronos_counter *counter, const chronos_cutter *cutter, const uint8_t *text,
                        size_t size);
int chronos_counter_add_counted(chronos_counter *counter, const uint8_t *data, const int64_t *ends,
                                const int64_t *counts, size_t n);
/* words: how many differ; bytes: their lengths' sum. export writes data (bytes,), ends and counts (words,),
 * in the order in which the words were first met. */
size_t chronos_counter_words(const chronos_counter *counter);
size_t chronos_counter_bytes(const chronos_counter *counter);
void chronos_counter_export(const chronos_counter *counter, uint8_t *data, int64_t *ends, int64_t *counts);

/* ---- encode.c, merge.c: text to ids ------------------------------------------------------------------- */

typedef struct {
    uint32_t left, right, rank; /* rank UINT32_MAX: empty */
    int32_t made;
} merge_rule;

/* Never written after it is made, so any number of threads may use one. */
typedef struct chronos_bpe {
    int32_t byte_ids[256];
    int32_t *made; /* rank -> the id that the pair becomes */
    merge_rule *rules;
    unsigned shift; /* the table has 1 << (64 - shift) places */
} chronos_bpe;

/* byte_ids (256,), merges (n, 3) left, right, made in order of rank, all >= 0; of two rules for one pair the
 * last counts. NULL without memory. */
chronos_bpe *chronos_bpe_new(const int32_t *byte_ids, const int32_t *merges, size_t n);
void chronos_bpe_free(chronos_bpe *bpe);

/* The ids of one word (size,) to ids, which has room for `size`; returns how many, or -1 without memory. */
int64_t merge_word(const chronos_bpe *bpe, const uint8_t *word, size_t size, int32_t *ids);

/* What one thread remembers of words that it met: of fixed size, for one bpe only. */
typedef struct chronos_cache chronos_cache;
chronos_cache *chronos_cache_new(void);
void chronos_cache_free(chronos_cache *cache);

/* Encodes texts data[ends[i-1]..ends[i]), i < n: ids need room for their bytes + SPARE; id_ends (n,). */
enum { SPARE = 4 };
int chronos_encode(const chronos_bpe *bpe, chronos_cache *cache, const chronos_cutter *cutter,
                   const uint8_t *data, const int64_t *ends, size_t n, int32_t *ids, int64_t *id_ends);

/* ---- learn.c, pairs.c: counted words to merges -------------------------------------------------------- */

typedef struct chronos_learner chronos_learner;
/* Words as in add_counted; specials likewise: special i has id i; byte_ids (256,) are the ids n_specials to
 * n_specials + 255 in some order. Copies all it needs. NULL without memory. */
chronos_learner *chronos_learner_new(const uint8_t *data, const int64_t *ends, const int64_t *counts,
                                     size_t n, const int32_t *byte_ids, const uint8_t *specials,
                                     const int64_t *special_ends, size_t n_specials, int32_t vocab);
void chronos_learner_free(chronos_learner *learner);
/* Joins up to `steps` pairs. ids: how many there are by now; done: no pair is left, or the vocabulary full. */
int chronos_learner_run(chronos_learner *learner, size_t steps);
int32_t chronos_learner_ids(const chronos_learner *learner);
int chronos_learner_done(const chronos_learner *learner);
size_t chronos_learner_merges(const chronos_learner *learner);
void chronos_learner_export(const chronos_learner *learner, int32_t *merges); /* (merges, 3) */

/* ---- words as keys ------------------------------------------------------------------------------------ */

/* A word of up to 15 bytes is its own key: 16 bytes, zero-filled, its length in the last. A longer one has a
 * hash in `a` and LONG_KEY in the top byte of `b`, whose other bytes are the table's own. */
enum { SHORT_WORD = 15 };
#define LONG_KEY 0xff
typedef struct {
    uint64_t a, b;
} word_key;

static inline uint64_t load64(const uint8_t *p) { /* little-endian anywhere; one load where that is native */
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static inline unsigned trailing_zeros(uint64_t x) { /* x != 0 */
#ifdef _MSC_VER
    unsigned long index;
    _BitScanForward64(&index, x);
    return (unsigned)index;
#else
    return (unsigned)__builtin_ctzll(x);
#endif
}

/* `room` bytes may be read from word on: at least 16, or the word is copied first. */
static inline word_key short_key(const uint8_t *word, size_t size, size_t room) {
    uint8_t copy[16] = {0};
    if (room < 16)
        word = memcpy(copy, word, size);
    uint64_t a = load64(word), b = (uint64_t)size << 56;
    if (size < 8)
        a &= ((uint64_t)1 << 8 * size) - 1;
    else if (size > 8)
        b |= load64(word + 8) & (((uint64_t)1 << 8 * (size - 8)) - 1);
    return (word_key){a, b};
}

#define MIX 0x9e3779b97f4a7c15u /* 2^64 over the golden ratio */

/* The high bits are the good ones. */
static inline uint64_t hash_key(word_key key) {
    uint64_t h = (key.a ^ key.b * 0xd6e8feb86659fd93u) * MIX;
    return (h ^ h >> 32) * MIX;
}

static inline uint64_t hash_bytes(const uint8_t *word, size_t size) {
    uint64_t h = size * MIX;
    for (; size >= 8; word += 8, size -= 8)
        h = ((h ^ load64(word)) * MIX) ^ (h >> 29);
    for (; size; word++, size--)
        h = (h ^ *word) * MIX;
    return (h ^ h >> 32) * MIX;
}

#endif
