/* Learning merges: again and again the most frequent pair of neighbours in the counted words becomes a token.
 * Of equally frequent pairs the one with the smaller ids (left, then right). It reads no text: count.c does.
 *
 * A spelling always comes about by the same pair. For as long as no join crosses its ends, what stands
 * between them is joined as it would be alone, so wherever it becomes one token it does so in the same step.
 * No two pairs therefore spell the same, no pair comes back after it was joined, and only a special token may
 * be spelled already.
 *
 * All words lie in one row of places, a place a byte, with a border between them:
 *
 *   text    | border |  c  |  a  |  t  |  s  | border |  ...
 *   id      |   -2   | "c" |"at" | -1  | "s" |   -2   |          at a token's first byte
 *   start   |    0   |  1  |  .  |  2  |  4  |    5   |          at its last: where it starts
 *
 * so both neighbours of a token are found at once, whatever was joined, and a join touches three places. */
#include "pairs.h"

#include <stdlib.h>

enum { INSIDE = -1, BORDER = -2 };

typedef struct {
    int32_t id;
    uint32_t start, word;
} place;

typedef struct {
    size_t at;
    uint32_t size;
} spelling;

/* What a merge changes on one side: for each neighbour how often, and where the new pairs are. */
typedef struct {
    int64_t *sum; /* (vocab,) by neighbour; zero between merges */
    uint32_t *n;  /* (vocab,) likewise: at how many places */
    size_t *list; /* (vocab,) where in pairs.lists its next place goes, while they are handed out */
    int32_t *met; /* the neighbours that are not zero */
    struct {
        int32_t id;
        uint32_t at;
    } *found;
    size_t met_size, size, room;
} side;

struct chronos_learner {
    place *row;
    int64_t *counts; /* by word */
    pairs pairs;
    side left, right;
    int32_t vocab, ids;
    int done;
    spelling *spelled; /* (vocab,) by id */
    uint8_t *letters;  /* what spellings point into */
    size_t letters_size, letters_room;
    int32_t specials;
    int32_t *merges; /* left, right, new */
    size_t merged, merges_room;
};

/* ---- spellings ---------------------------------------------------------------------------------------- */

static int room_for_letters(chronos_learner *t, size_t size) {
    if (t->letters_room - t->letters_size >= size)
        return CHRONOS_OK;
    size_t room = 2 * t->letters_room + size + 4096;
    uint8_t *letters = realloc(t->letters, room);
    if (!letters)
        return CHRONOS_NO_MEMORY;
    t->letters = letters, t->letters_room = room;
    return CHRONOS_OK;
}

static int spell(chronos_learner *t, int32_t id, const uint8_t *letters, size_t size) {
    if (room_for_letters(t, size) != CHRONOS_OK)
        return CHRONOS_NO_MEMORY;
    if (size) /* else there may be no letters at all yet */
        memcpy(t->letters + t->letters_size, letters, size);
    t->spelled[id] = (spelling){t->letters_size, (uint32_t)size};
    t->letters_size += size;
    return CHRONOS_OK;
}

/* The id of left and right together: a special's if it is spelled so, else a new one; -1 without memory. */
static int32_t id_of(chronos_learner *t, int32_t left, int32_t right) {
    spelling a = t->spelled[left], b = t->spelled[right], both = {t->letters_size, a.size + b.size};
    if (room_for_letters(t, both.size) != CHRONOS_OK)
        return -1;
    memcpy(t->letters + both.at, t->letters + a.at, a.size);
    memcpy(t->letters + both.at + a.size, t->letters + b.at, b.size);
    for (int32_t i = t->specials; i--;)
        if (t->spelled[i].size == both.size &&
            memcmp(t->letters + t->spelled[i].at, t->letters + both.at, both.size) == 0)
            return i;
    t->letters_size += both.size;
    t->spelled[t->ids] = both;
    return t->ids++;
}

/* ---- joining ------------------------------------------------------------------------------------------ */

static int note(side *s, int32_t id, int64_t times, uint32_t at) {
    if (s->size == s->room) {
        size_t room = 2 * s->room + 4096;
        void *found = realloc(s->found, room * sizeof *s->found);
        if (!found)
            return CHRONOS_NO_MEMORY;
        s->found = found, s->room = room;
    }
    if (s->n[id]++ == 0)
        s->met[s->met_size++] = id;
    s->sum[id] += times;
    s->found[s->size].id = id;
    s->found[s->size++].at = at;
    return CHRONOS_OK;
}

/* Joins left and right to `made` where they stand at `at`, if they still do. */
static inline int join_at(chronos_learner *t, uint32_t at, int32_t left, int32_t right, int32_t made) {
    place *row = t->row;
    uint32_t second = at + t->spelled[left].size, after = second + t->spelled[right].size;
    if (row[at].id != left || row[second].id != right)
        return CHRONOS_OK;
    uint32_t before = row[at - 1].start;
    int64_t times = t->counts[row[at].word];
    if (row[before].id >= 0 && note(&t->left, row[before].id, times, before) != CHRONOS_OK)
        return CHRONOS_NO_MEMORY;
    if (row[after].id >= 0 && note(&t->right, row[after].id, times, at) != CHRONOS_OK)
        return CHRONOS_NO_MEMORY;
    row[at].id = made;
    row[second].id = INSIDE;
    row[after - 1].start = at;
    return CHRONOS_OK;
}

/* For each neighbour of one side: its pair with `made` is new, and is found at these places. */
static int add_new(chronos_learner *t, side *s, int32_t made, int is_left) {
    for (size_t i = 0; i < s->met_size; i++) {
        int32_t id = s->met[i];
        uint64_t key = is_left ? pair_key(id, made) : pair_key(made, id);
        pair *p = pairs_add(&t->pairs, key);
        if (!p || !(s->list[id] = pairs_give_list(&t->pairs, p, s->n[id])))
            return CHRONOS_NO_MEMORY;
        p->count += s->sum[id];
        if (pairs_offer(&t->pairs, key, p->count) != CHRONOS_OK)
            return CHRONOS_NO_MEMORY;
    }
    for (size_t i = 0; i < s->size; i++)
        t->pairs.lists[s->list[s->found[i].id]++] = s->found[i].at;
    return CHRONOS_OK;
}

/* And its pair with what stood there before is less frequent. */
static void drop_old(chronos_learner *t, side *s, int32_t old, int is_left) {
    for (size_t i = 0; i < s->met_size; i++) {
        int32_t id = s->met[i];
        pairs_find(&t->pairs, is_left ? pair_key(id, old) : pair_key(old, id))->count -= s->sum[id];
        s->sum[id] = 0;
        s->n[id] = 0;
    }
    s->met_size = s->size = 0;
}

static int join(chronos_learner *t, pair *best, int32_t made) {
    uint64_t key = best->key;
    int32_t left = (int32_t)(key >> 32), right = (int32_t)(uint32_t)key;
    size_t n = t->pairs.lists[best->list];
    const uint32_t *places = t->pairs.lists + best->list + 1;
    for (size_t i = 0; i < n; i++)
        if (join_at(t, places[i], left, right, made) != CHRONOS_OK)
            return CHRONOS_NO_MEMORY;
    /* What rises comes first: a pair whose count is zero may be forgotten when another is added. */
    if (add_new(t, &t->left, made, 1) != CHRONOS_OK || add_new(t, &t->right, made, 0) != CHRONOS_OK)
        return CHRONOS_NO_MEMORY;
    drop_old(t, &t->left, left, 1);
    drop_old(t, &t->right, right, 0);
    pairs_find(&t->pairs, key)->count = 0;
    return CHRONOS_OK;
}

static int record(chronos_learner *t, int32_t left, int32_t right, int32_t made) {
    if (t->merged == t->merges_room) {
        size_t room = 2 * t->merges_room + 4096;
        int32_t *merges = realloc(t->merges, 3 * room * sizeof *merges);
        if (!merges)
            return CHRONOS_NO_MEMORY;
        t->merges = merges, t->merges_room = room;
    }
    int32_t *merge = t->merges + 3 * t->merged++;
    merge[0] = left, merge[1] = right, merge[2] = made;
    return CHRONOS_OK;
}

int chronos_learner_run(chronos_learner *t, size_t steps) {
    for (; steps && !t->done; steps--) {
        pair *best = t->ids < t->vocab ? pairs_best(&t->pairs) : NULL;
        if (!best) {
            t->done = 1;
            break;
        }
        int32_t left = (int32_t)(best->key >> 32), right = (int32_t)(uint32_t)best->key;
        int32_t made = id_of(t, left, right);
        if (made < 0 || record(t, left, right, made) != CHRONOS_OK || join(t, best, made) != CHRONOS_OK)
            return CHRONOS_NO_MEMORY;
    }
    return CHRONOS_OK;
}

int32_t chronos_learner_ids(const chronos_learner *t) { return t->ids; }
int chronos_learner_done(const chronos_learner *t) { return t->done; }
size_t chronos_learner_merges(const chronos_learner *t) { return t->merged; }
void chronos_learner_export(const chronos_learner *t, int32_t *merges) {
    if (t->merged) /* else there may be no room for merges either */
        memcpy(merges, t->merges, 3 * t->merged * sizeof *merges);
}

/* ---- beginning ---------------------------------------------------------------------------------------- */

/* Words of one byte have no pairs and are left out. Returns the number of places. */
static size_t lay_row(chronos_learner *t, const uint8_t *data, const int64_t *ends, size_t n,
                      const int32_t *byte_ids) {
    uint32_t at = 0;
    t->row[at] = (place){BORDER, at, 0};
    for (size_t w = 0; w < n; w++) {
        int64_t start = w ? ends[w - 1] : 0;
        if (ends[w] - start < 2 || !t->counts[w])
            continue;
        for (int64_t i = start; i < ends[w]; i++) {
            at++;
            t->row[at] = (place){byte_ids[data[i]], at, (uint32_t)w};
        }
        at++;
        t->row[at] = (place){BORDER, at, 0};
    }
    return (size_t)at + 1;
}

/* The pairs of bytes: counted in a square, for there are at most 65,536. */
static int first_pairs(chronos_learner *t, size_t row_size, int32_t first) {
    typedef struct {
        int64_t sum;
        size_t list;
        uint32_t n;
    } square;
    square *squares = calloc(65536, sizeof *squares);
    int code = squares ? CHRONOS_OK : CHRONOS_NO_MEMORY;
    for (int fill = 0; fill < 2 && code == CHRONOS_OK; fill++) {
        for (size_t i = 1; i + 1 < row_size; i++) {
            const place *p = t->row + i;
            if (p->id < 0 || p[1].id < 0)
                continue;
            square *s = squares + 256 * (p->id - first) + (p[1].id - first);
            if (fill)
                t->pairs.lists[s->list++] = (uint32_t)i;
            else
                s->sum += t->counts[p->word], s->n++;
        }
        for (int i = 0; i < 65536 && !fill && code == CHRONOS_OK; i++)
            if (squares[i].n) {
                uint64_t key = pair_key(first + i / 256, first + i % 256);
                pair *p = pairs_add(&t->pairs, key);
                if (!p || !(squares[i].list = pairs_give_list(&t->pairs, p, squares[i].n)))
                    code = CHRONOS_NO_MEMORY;
                else
                    code = pairs_offer(&t->pairs, key, p->count = squares[i].sum);
            }
    }
    free(squares);
    return code;
}

static int begin_side(side *s, size_t vocab) {
    s->sum = calloc(vocab, sizeof *s->sum);
    s->n = calloc(vocab, sizeof *s->n);
    s->list = malloc(vocab * sizeof *s->list);
    s->met = malloc(vocab * sizeof *s->met);
    return s->sum && s->n && s->list && s->met ? CHRONOS_OK : CHRONOS_NO_MEMORY;
}

static void end_side(side *s) {
    free(s->sum);
    free(s->n);
    free(s->list);
    free(s->met);
    free(s->found);
}

void chronos_learner_free(chronos_learner *t) {
    if (!t)
        return;
    pairs_end(&t->pairs);
    end_side(&t->left);
    end_side(&t->right);
    free(t->row);
    free(t->counts);
    free(t->spelled);
    free(t->letters);
    free(t->merges);
    free(t);
}

static int begin_spellings(chronos_learner *t, const int32_t *byte_ids, const uint8_t *specials,
                           const int64_t *ends, size_t n) {
    t->specials = (int32_t)n;
    t->spelled = malloc((size_t)t->vocab * sizeof *t->spelled);
    if (!t->spelled)
        return CHRONOS_NO_MEMORY;
    int64_t at = 0;
    int code = CHRONOS_OK;
    for (size_t i = 0; i < n && code == CHRONOS_OK; at = ends[i++])
        code = spell(t, (int32_t)i, specials + at, (size_t)(ends[i] - at));
    for (int i = 0; i < 256 && code == CHRONOS_OK; i++)
        code = spell(t, byte_ids[i], &(uint8_t){(uint8_t)i}, 1);
    return code;
}

chronos_learner *chronos_learner_new(const uint8_t *data, const int64_t *ends, const int64_t *counts,
                                     size_t n, const int32_t *byte_ids, const uint8_t *specials,
                                     const int64_t *special_ends, size_t n_specials, int32_t vocab) {
    chronos_learner *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->vocab = vocab;
    t->ids = (int32_t)n_specials + 256;
    t->counts = malloc(n * sizeof *counts + 1);
    t->row = malloc(((n ? (size_t)ends[n - 1] : 0) + n + 1) * sizeof *t->row);
    if (!t->counts || !t->row || pairs_begin(&t->pairs) != CHRONOS_OK ||
        begin_side(&t->left, (size_t)vocab) != CHRONOS_OK ||
        begin_side(&t->right, (size_t)vocab) != CHRONOS_OK ||
        begin_spellings(t, byte_ids, specials, special_ends, n_specials) != CHRONOS_OK) {
        chronos_learner_free(t);
        return NULL;
    }
    if (n)
        memcpy(t->counts, counts, n * sizeof *counts);
    if (first_pairs(t, lay_row(t, data, ends, n, byte_ids), (int32_t)n_specials) != CHRONOS_OK) {
        chronos_learner_free(t);
        return NULL;
    }
    return t;
}
