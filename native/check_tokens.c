/* Checks of the tokenizer's C alone, to be run under sanitizers: any bytes, in buffers that end with them.
 * Words cover their text, counts add up, ids are those of the slow rule, learning is that of recounting; and
 * threads share an encoder. What the patterns mean is tested from Python. Run with `make -C native sanitize`. */
#include "check.h"
#include "tokens.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t below(uint32_t n) { return noise() % n; }

static void fail(const char *what, int pattern, size_t size) {
    fprintf(stderr, "FAILED: %s (pattern %d, %zu bytes)\n", what, pattern, size);
    exit(1);
}

/* Few letters, spaces, quotes and newlines; parts of characters, whole ones, bytes that begin none. */
static uint8_t *make_text(size_t size) {
    static const char *const parts[] = {"a", "b", "a", "'", " ", " ", "\n", "\r", "1", ".", "S", "aaaaaaaa",
                                        "\t", "\xc3\xa9", "\xe4\xb8\x96", "\xf0\x9f\x98\x80", "\xc5\xbf",
                                        "\xe2\x80\x83"};
    uint8_t *text = malloc(size ? size : 1);
    size_t at = 0;
    while (at < size) {
        const char *part = parts[below(18)];
        for (; *part && at < size; part++)
            text[at++] = (uint8_t)*part;
        if (at < size && below(20) == 0)
            text[at++] = (uint8_t)noise();
    }
    return text;
}

static chronos_cutter *make_cutter(int pattern) {
    uint8_t *classes = calloc(PAGES, PAGE);
    for (uint32_t c = 0; c < PAGES * PAGE; c++)
        if (c == ' ' || (c >= 9 && c <= 13) || c == 0x2003)
            classes[c] = SPACE;
        else if (c >= '0' && c <= '9')
            classes[c] = NUMBER;
        else if (((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= 0x80 && c < 0x10000))
            classes[c] = LETTER;
        else
            classes[c] = c / PAGE % 7 ? OTHER : 77;
    chronos_cutter *cutter = chronos_cutter_new(pattern, classes);
    free(classes);
    return cutter;
}

static void check_words(const chronos_cutter *cutter, const uint8_t *text, size_t size) {
    size_t at = 0, words = 0, found = 0;
    uint32_t ends[3];
    while (at < size) {
        size_t n = cut_words(cutter, text, at, size, ends, 1 + below(3)), before = at;
        for (size_t i = 0; i < n; before = ends[i++])
            if (ends[i] <= before || ends[i] > size)
                fail("words do not ascend", cutter->pattern, size);
        if (!n)
            fail("no word", cutter->pattern, size);
        at = before, words += n;
    }
    chronos_counter *counter = chronos_counter_new(), *twice = chronos_counter_new();
    chronos_counter_add(counter, cutter, text, size);
    size_t n = chronos_counter_words(counter), bytes = chronos_counter_bytes(counter);
    uint8_t *data = malloc(bytes + 1);
    int64_t *ends64 = malloc(n * 8 + 1), *counts = malloc(n * 8 + 1);
    chronos_counter_export(counter, data, ends64, counts);
    for (size_t i = 0; i < n; i++)
        found += (size_t)counts[i];
    if (found != words || (n && (size_t)ends64[n - 1] != bytes))
        fail("counts", cutter->pattern, size);
    for (int i = 0; i < 2; i++)
        chronos_counter_add_counted(twice, data, ends64, counts, n);
    if (chronos_counter_words(twice) != n || chronos_counter_bytes(twice) != bytes)
        fail("adding counted words", cutter->pattern, size);
    chronos_counter_free(counter);
    chronos_counter_free(twice);
    free(data);
    free(ends64);
    free(counts);
}

enum { RULES = 60, FIRST_MADE = 256 };

/* Rule i makes id 256 + i of any two ids below that, so that some are never reached. */
static void make_rules(int32_t (*rules)[3]) {
    for (int i = 0; i < RULES; i++) {
        for (int side = 0; side < 2; side++)
            rules[i][side] = below(3) && i ? FIRST_MADE + (int32_t)below((uint32_t)i) : "aab' .1"[below(7)];
        rules[i][2] = FIRST_MADE + i;
    }
}

static size_t join_slowly(int32_t (*rules)[3], int32_t *ids, size_t n) {
    for (int rank = 0; rank < RULES;) {
        size_t i = 0;
        int last = RULES - 1; /* of two rules for one pair the last counts */
        while (last > rank && (rules[last][0] != rules[rank][0] || rules[last][1] != rules[rank][1]))
            last--;
        while (last == rank && i + 1 < n && (ids[i] != rules[rank][0] || ids[i + 1] != rules[rank][1]))
            i++;
        if (last != rank || i + 1 >= n) {
            rank++;
            continue;
        }
        ids[i] = rules[rank][2];
        memmove(ids + i + 1, ids + i + 2, (n - i - 2) * sizeof *ids);
        n--;
        rank = 0; /* the new id may be part of an earlier rule */
    }
    return n;
}

static void check_ids(const chronos_cutter *cutter, const uint8_t *text, size_t size, chronos_cache *cache,
                      const chronos_bpe *bpe, int32_t (*rules)[3]) {
    int32_t *expected = malloc((size + 1) * 4), *ids = malloc((size + SPARE) * 4);
    size_t at = 0, n = 0;
    uint32_t end;
    for (; at < size; at = end) {
        cut_words(cutter, text, at, size, &end, 1);
        for (size_t i = at; i < end; i++)
            expected[n + i - at] = text[i];
        n += join_slowly(rules, expected + n, end - at);
    }
    int64_t ends[2] = {(int64_t)size / 2, (int64_t)size}, whole = (int64_t)size, id_ends[2];
    for (int again = 0; again < 2; again++) { /* the second time from the cache */
        if (chronos_encode(bpe, cache, cutter, text, &whole, 1, ids, id_ends) || (size_t)id_ends[0] != n)
            fail("how many ids", cutter->pattern, size);
        if (n && memcmp(ids, expected, n * 4))
            fail("ids", cutter->pattern, size);
    }
    if (chronos_encode(bpe, cache, cutter, text, ends, 2, ids, id_ends) || id_ends[1] < id_ends[0])
        fail("two texts", cutter->pattern, size);
    free(expected);
    free(ids);
}

static void check_texts(int pattern) {
    chronos_cutter *cutter = make_cutter(pattern);
    for (int round = 0; round < 12; round++) {
        int32_t rules[RULES][3], byte_ids[256];
        for (int i = 0; i < 256; i++)
            byte_ids[i] = i;
        make_rules(rules);
        chronos_bpe *bpe = chronos_bpe_new(byte_ids, rules[0], RULES);
        chronos_cache *cache = chronos_cache_new();
        for (int i = 0; i < 60; i++) {
            size_t size = below(i % 4 ? 24 : 400);
            uint8_t *text = make_text(size);
            check_words(cutter, text, size);
            check_ids(cutter, text, size, cache, bpe, rules);
            free(text);
        }
        chronos_cache_free(cache);
        chronos_bpe_free(bpe);
    }
    chronos_cutter_free(cutter);
}

/* ---- learning, against counting all pairs again for each merge ---------------------------------------- */

enum { WORDS = 12, WORD = 20, VOCAB = 256 + 40 };

static int better(int64_t count, int32_t left, int32_t right, int64_t best, const int32_t *merge) {
    if (count != best)
        return count > best;
    return left != merge[0] ? left < merge[0] : right < merge[1];
}

static int64_t count_pair(int32_t (*words)[WORD], const size_t *sizes, const int64_t *counts, int32_t l,
                          int32_t r) {
    int64_t sum = 0;
    for (int w = 0; w < WORDS; w++)
        for (size_t i = 0; i + 1 < sizes[w]; i++)
            sum += words[w][i] == l && words[w][i + 1] == r ? counts[w] : 0;
    return sum;
}

static size_t learn_slowly(int32_t (*words)[WORD], size_t *sizes, const int64_t *counts,
                           int32_t (*merges)[3]) {
    for (int32_t made = 256; made < VOCAB; made++) {
        int32_t *merge = merges[made - 256];
        int64_t best = 1;
        merge[0] = merge[1] = INT32_MAX;
        for (int w = 0; w < WORDS; w++)
            for (size_t i = 0; i + 1 < sizes[w]; i++) {
                int64_t count = count_pair(words, sizes, counts, words[w][i], words[w][i + 1]);
                if (count > 1 && better(count, words[w][i], words[w][i + 1], best, merge))
                    best = count, merge[0] = words[w][i], merge[1] = words[w][i + 1];
            }
        if (best < 2)
            return (size_t)made - 256;
        merge[2] = made;
        for (int w = 0; w < WORDS; w++) {
            size_t n = 0;
            for (size_t i = 0; i < sizes[w]; i++, n++) {
                int here = i + 1 < sizes[w] && words[w][i] == merge[0] && words[w][i + 1] == merge[1];
                words[w][n] = here ? made : words[w][i];
                i += (size_t)here;
            }
            sizes[w] = n;
        }
    }
    return VOCAB - 256;
}

static void check_learning(void) {
    uint8_t data[WORDS * WORD];
    int32_t words[WORDS][WORD], byte_ids[256], expected[VOCAB - 256][3];
    int64_t ends[WORDS], counts[WORDS], at = 0;
    size_t sizes[WORDS];
    for (int i = 0; i < 256; i++)
        byte_ids[i] = i;
    for (int w = 0; w < WORDS; w++) {
        sizes[w] = below(WORD + 1);
        counts[w] = below(4) ? (int64_t)below(5) : (int64_t)noise() << 20;
        for (size_t i = 0; i < sizes[w]; i++)
            words[w][i] = data[at++] = (uint8_t)"aabbc"[below(5)];
        ends[w] = at;
    }
    uint8_t *exact = malloc((size_t)at + !at);
    memcpy(exact, data, (size_t)at);
    chronos_learner *learner =
        chronos_learner_new(exact, ends, counts, WORDS, byte_ids, exact, ends, 0, VOCAB);
    free(exact);
    while (!chronos_learner_done(learner))
        if (chronos_learner_run(learner, 1 + below(9)))
            fail("no memory to learn", 0, (size_t)at);
    size_t n = learn_slowly(words, sizes, counts, expected), merges = chronos_learner_merges(learner);
    int32_t *found = malloc((merges * 3 + 1) * 4);
    chronos_learner_export(learner, found);
    if (merges != n || memcmp(found, expected, n * 12))
        fail("merges", 0, (size_t)at);
    chronos_learner_free(learner);
    free(found);
}

/* ---- threads ------------------------------------------------------------------------------------------ */

typedef struct {
    const chronos_bpe *bpe;
    const chronos_cutter *cutter;
    const uint8_t *text;
    int64_t size, n;
    int32_t *ids;
} task;

static void *encode_often(void *context) {
    task *t = context;
    chronos_cache *cache = chronos_cache_new();
    for (int i = 0; i < 5; i++)
        chronos_encode(t->bpe, cache, t->cutter, t->text, &t->size, 1, t->ids, &t->n);
    chronos_cache_free(cache);
    return NULL;
}

static void check_threads(void) {
    int32_t rules[RULES][3], byte_ids[256];
    for (int i = 0; i < 256; i++)
        byte_ids[i] = i;
    make_rules(rules);
    enum { SIZE = 20000, THREADS = 4 };
    chronos_cutter *cutter = make_cutter(PATTERN_GPT4);
    chronos_bpe *bpe = chronos_bpe_new(byte_ids, rules[0], RULES);
    uint8_t *text = make_text(SIZE);
    task tasks[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        tasks[i] = (task){bpe, cutter, text, SIZE, 0, malloc((SIZE + SPARE) * 4)};
        pthread_create(&threads[i], NULL, encode_often, &tasks[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (tasks[i].n != tasks[0].n || memcmp(tasks[i].ids, tasks[0].ids, (size_t)tasks[0].n * 4))
            fail("threads change ids", cutter->pattern, SIZE);
    }
    for (int i = 0; i < THREADS; i++)
        free(tasks[i].ids);
    free(text);
    chronos_bpe_free(bpe);
    chronos_cutter_free(cutter);
}

/* With any argument only the threads. */
int main(int count, char **arguments) {
    (void)arguments;
    check_threads();
    for (int pattern = 0; count == 1 && pattern < PATTERNS; pattern++)
        check_texts(pattern);
    for (int i = 0; count == 1 && i < 400; i++)
        check_learning();
    printf("tokens: good\n");
    return 0;
}
