/* Where words end: GPT-2's, GPT-4's and Qwen's patterns, written out by hand over classes of characters.
 * The patterns are regular expressions that try their alternatives in order; each function below says which
 * alternative wins at a place, so nothing is ever tried twice and a run is walked once. No regex engine.
 *
 *   GPT-2   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *   GPT-4   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
 *           |\s*[\r\n]+|\s+(?!\S)|\s+
 *   Qwen2   as GPT-4, but \p{N} in place of \p{N}{1,3} */
#include "tokens.h"

#include <stdlib.h>

static unsigned page_like(const chronos_cutter *c, unsigned n, const uint8_t *page) {
    unsigned i = 0;
    while (i < n && memcmp(c->pages[i], page, PAGE))
        i++;
    return i;
}

chronos_cutter *chronos_cutter_new(int pattern, const uint8_t *classes) {
    chronos_cutter *c = malloc(sizeof *c + (size_t)PAGES * PAGE), *smaller;
    if (!c)
        return NULL;
    unsigned n = 0;
    for (unsigned i = 0; i < PAGES; i++) {
        uint8_t page[PAGE];
        for (unsigned j = 0; j < PAGE; j++)
            page[j] = classes[i * PAGE + j] < CLASSES ? classes[i * PAGE + j] : OTHER;
        if (i == 0) /* the code below takes it for granted */
            page[' '] = page['\r'] = page['\n'] = SPACE, page['\''] = OTHER;
        unsigned same = page_like(c, n, page);
        if (same == n)
            memcpy(c->pages[n++], page, PAGE);
        c->page_of[i] = (uint16_t)same;
    }
    c->pattern = pattern;
    memcpy(c->ascii, c->pages[c->page_of[0]], sizeof c->ascii);
    smaller = realloc(c, sizeof *c + (size_t)n * PAGE);
    return smaller ? smaller : c;
}

void chronos_cutter_free(chronos_cutter *c) { free(c); }

typedef struct {
    unsigned class, size;
} character;

static int continues(uint8_t byte) { return (byte & 0xc0) == 0x80; }

/* The character at p < end. Bytes that are no UTF-8 are characters of one byte. */
static inline character wide(const chronos_cutter *c, const uint8_t *p, const uint8_t *end) {
    uint32_t code = 0;
    unsigned size = 1;
    if (*p < 0xe0) {
        if (*p >= 0xc2 && end - p >= 2 && continues(p[1]))
            size = 2, code = (*p & 0x1fu) << 6 | (p[1] & 0x3fu);
    } else if (*p < 0xf0) {
        if (end - p >= 3 && continues(p[1]) && continues(p[2]))
            size = 3, code = (*p & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    } else if (*p < 0xf5 && end - p >= 4 && continues(p[1]) && continues(p[2]) && continues(p[3]))
        size = 4, code = (*p & 7u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* no form is longer than it needs to be */
    if (size == 1 || code < least[size] || code >= 0x110000 || (code >= 0xd800 && code < 0xe000))
        return (character){OTHER, 1};
    return (character){c->pages[c->page_of[code / PAGE]][code % PAGE], size};
}

static inline character at(const chronos_cutter *c, const uint8_t *p, const uint8_t *end) {
    return *p < 0x80 ? (character){c->ascii[*p], 1} : wide(c, p, end);
}

/* The high bit of each of eight bytes that is no ASCII letter. */
static inline uint64_t no_letters(uint64_t x) {
    const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
    uint64_t lower = (x | 0x20 * ones) & ~high;
    uint64_t from_a = lower + (0x80 - 'a') * ones, past_z = lower + (0x7f - 'z') * ones;
    return (~from_a | past_z | x) & high;
}

static inline const uint8_t *run(const chronos_cutter *c, const uint8_t *p, const uint8_t *end,
                                 unsigned class) {
    while (p < end) {
        character next = at(c, p, end);
        if (next.class != class)
            break;
        p += next.size;
    }
    return p;
}

/* Past the letters at p; eight at a time as long as they are ASCII. */
static inline const uint8_t *letters(const chronos_cutter *c, const uint8_t *p, const uint8_t *end) {
    while (end - p >= 8) {
        uint64_t others = no_letters(load64(p));
        if (others) {
            p += trailing_zeros(others) >> 3;
            return *p < 0x80 ? p : run(c, p, end, LETTER);
        }
        p += 8;
    }
    return run(c, p, end, LETTER);
}

/* The length of 's 't 're 've 'm 'll 'd at p, where an apostrophe stands, or 0. In any case of letters (and
 * with U+017F, the long s, which folds to s) if `fold`. */
static size_t contraction(const uint8_t *p, const uint8_t *end, int fold) {
    size_t room = (size_t)(end - p);
    if (room < 2)
        return 0;
    uint8_t lower = fold ? 0x20 : 0, x = p[1] | lower, y = room > 2 ? p[2] | lower : 0;
    if (x == 's' || x == 't' || x == 'm' || x == 'd')
        return 2;
    if ((x == 'r' && y == 'e') || (x == 'v' && y == 'e') || (x == 'l' && y == 'l'))
        return 3;
    return fold && room > 2 && p[1] == 0xc5 && p[2] == 0xbf ? 3 : 0;
}

typedef struct {
    const uint8_t *end, *last, *after_newline; /* last: its last character; after_newline: NULL without one */
} blank;

/* The white space at p, which has at least one character. */
static blank blanks(const chronos_cutter *c, const uint8_t *p, const uint8_t *end) {
    blank found = {p, p, NULL};
    while (found.end < end) {
        character next = at(c, found.end, end);
        if (next.class != SPACE)
            break;
        found.last = found.end;
        found.end += next.size;
        if (*found.last == '\n' || *found.last == '\r')
            found.after_newline = found.end;
    }
    return found;
}

/* \s+(?!\S)|\s+ : all of it at the end of the text; else all but its last character, if it has two. */
static const uint8_t *past_blanks(blank found, const uint8_t *p, const uint8_t *end) {
    return found.end == end || found.last == p ? found.end : found.last;
}

static inline const uint8_t *gpt2_word(const chronos_cutter *c, const uint8_t *p, const uint8_t *end) {
    if (*p == '\'') {
        size_t size = contraction(p, end, 0);
        if (size)
            return p + size;
    }
    const uint8_t *first = p + (*p == ' ' && p + 1 < end); /* " ?" takes the space if it can */
    character next = at(c, first, end);
    if (next.class == LETTER)
        return letters(c, first + next.size, end);
    if (next.class != SPACE)
        return run(c, first + next.size, end, next.class);
    return past_blanks(blanks(c, p, end), p, end);
}

static inline const uint8_t *gpt4_word(const chronos_cutter *c, const uint8_t *p, const uint8_t *end,
                                       int digits) {
    if (*p == '\'') {
        size_t size = contraction(p, end, 1);
        if (size)
            return p + size;
    }
    character here = at(c, p, end), next = {SPACE, 0};
    const uint8_t *second = p + here.size;
    if (here.class == LETTER)
        return letters(c, second, end);
    if (here.class == NUMBER) {
        for (int i = 1; i < digits && second < end && (next = at(c, second, end)).class == NUMBER; i++)
            second += next.size;
        return second;
    }
    if (second < end)
        next = at(c, second, end);
    if (next.class == LETTER && *p != '\r' && *p != '\n')
        return letters(c, second + next.size, end);
    if (here.class == OTHER || (*p == ' ' && next.class == OTHER && second < end)) {
        second = run(c, second, end, OTHER);
        while (second < end && (*second == '\r' || *second == '\n'))
            second++;
        return second;
    }
    blank found = blanks(c, p, end);
    return found.after_newline ? found.after_newline : past_blanks(found, p, end);
}

size_t cut_words(const chronos_cutter *c, const uint8_t *text, size_t from, size_t size, uint32_t *ends,
                 size_t most) {
    const uint8_t *p = text + from, *end = text + size;
    size_t n = 0;
    if (c->pattern == PATTERN_GPT2)
        for (; p < end && n < most; n++)
            ends[n] = (uint32_t)((p = gpt2_word(c, p, end)) - text);
    else if (c->pattern == PATTERN_GPT4)
        for (; p < end && n < most; n++)
            ends[n] = (uint32_t)((p = gpt4_word(c, p, end, 3)) - text);
    else if (c->pattern == PATTERN_QWEN2)
        for (; p < end && n < most; n++)
            ends[n] = (uint32_t)((p = gpt4_word(c, p, end, 1)) - text);
    else if (p < end && most)
        ends[n++] = (uint32_t)size;
    return n;
}
