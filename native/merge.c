/* Byte pair encoding of one word: of all pairs in it, the one of lowest rank is joined, leftmost first.
 * Short words by looking for the lowest again and again, longer ones with a heap, so that time grows with
 * n log n and not with its square. It remembers nothing between words; encode.c does. */
#include "tokens.h"

#include <stdlib.h>

enum { SHORT = 48 }; /* up to here a scan beats a heap */
#define NO_RANK UINT32_MAX
#define NOTHING UINT32_MAX

static inline uint64_t hash_pair(uint32_t left, uint32_t right) {
    uint64_t h = ((uint64_t)left << 32 | right) * MIX;
    return (h ^ h >> 32) * MIX;
}

static inline uint32_t rank_of(const chronos_bpe *bpe, int32_t left, int32_t right) {
    size_t mask = ((size_t)1 << (64 - bpe->shift)) - 1;
    size_t place = hash_pair((uint32_t)left, (uint32_t)right) >> bpe->shift;
    for (;; place = (place + 1) & mask) {
        const merge_rule *rule = bpe->rules + place;
        if ((rule->left == (uint32_t)left && rule->right == (uint32_t)right) || rule->rank == NO_RANK)
            return rule->rank;
    }
}

static void add_rule(chronos_bpe *bpe, merge_rule rule) {
    size_t mask = ((size_t)1 << (64 - bpe->shift)) - 1;
    size_t place = hash_pair(rule.left, rule.right) >> bpe->shift;
    while (bpe->rules[place].rank != NO_RANK &&
           (bpe->rules[place].left != rule.left || bpe->rules[place].right != rule.right))
        place = (place + 1) & mask;
    bpe->rules[place] = rule;
}

chronos_bpe *chronos_bpe_new(const int32_t *byte_ids, const int32_t *merges, size_t n) {
    chronos_bpe *bpe = calloc(1, sizeof *bpe);
    if (!bpe)
        return NULL;
    for (bpe->shift = 64 - 4; (size_t)1 << (64 - bpe->shift) < 2 * n; bpe->shift--)
        ;
    bpe->made = malloc(n * sizeof *bpe->made + 1);
    bpe->rules = malloc(sizeof *bpe->rules << (64 - bpe->shift));
    if (!bpe->made || !bpe->rules) {
        chronos_bpe_free(bpe);
        return NULL;
    }
    memcpy(bpe->byte_ids, byte_ids, sizeof bpe->byte_ids);
    for (size_t i = 0; i >> (64 - bpe->shift) == 0; i++)
        bpe->rules[i] = (merge_rule){0, 0, NO_RANK, 0};
    for (size_t i = 0; i < n; i++, merges += 3) {
        bpe->made[i] = merges[2];
        add_rule(bpe, (merge_rule){(uint32_t)merges[0], (uint32_t)merges[1], (uint32_t)i, merges[2]});
    }
    return bpe;
}

void chronos_bpe_free(chronos_bpe *bpe) {
    if (bpe) {
        free(bpe->made);
        free(bpe->rules);
        free(bpe);
    }
}

/* ids (n,), n >= 2, joined in place. */
static size_t join_short(const chronos_bpe *bpe, int32_t *ids, size_t n) {
    uint32_t ranks[SHORT]; /* of the pair at i and i + 1 */
    for (size_t i = 0; i + 1 < n; i++)
        ranks[i] = rank_of(bpe, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t at = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[at])
                at = i;
        if (ranks[at] == NO_RANK)
            break;
        ids[at] = bpe->made[ranks[at]];
        n--;
        for (size_t i = at + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
        }
        if (at > 0)
            ranks[at - 1] = rank_of(bpe, ids[at - 1], ids[at]);
        if (at + 1 < n)
            ranks[at] = rank_of(bpe, ids[at], ids[at + 1]);
    }
    return n;
}

/* A long word while it is joined: its tokens as a linked list, and a heap of (rank, place) in one number. */
typedef struct {
    const chronos_bpe *bpe;
    int32_t *ids; /* -1: joined to the one before */
    uint32_t *before, *after;
    uint64_t *heap;
    size_t n;
} joining;

static void push(joining *j, uint64_t item) {
    size_t i = j->n++;
    for (; i && j->heap[(i - 1) / 2] > item; i = (i - 1) / 2)
        j->heap[i] = j->heap[(i - 1) / 2];
    j->heap[i] = item;
}

static uint64_t pop(joining *j) {
    uint64_t top = j->heap[0], item = j->heap[--j->n];
    size_t i = 0, child;
    for (; (child = 2 * i + 1) < j->n; i = child) {
        child += child + 1 < j->n && j->heap[child + 1] < j->heap[child];
        if (j->heap[child] >= item)
            break;
        j->heap[i] = j->heap[child];
    }
    j->heap[i] = item;
    return top;
}

static void offer(joining *j, uint32_t left, uint32_t right) {
    if (left == NOTHING || right == NOTHING)
        return;
    uint32_t rank = rank_of(j->bpe, j->ids[left], j->ids[right]);
    if (rank != NO_RANK)
        push(j, (uint64_t)rank << 32 | left);
}

static void join_all(joining *j) {
    while (j->n) {
        uint64_t item = pop(j);
        uint32_t rank = (uint32_t)(item >> 32), left = (uint32_t)item, right = j->after[left];
        if (j->ids[left] < 0 || right == NOTHING || rank_of(j->bpe, j->ids[left], j->ids[right]) != rank)
            continue; /* one of the two was joined with another meanwhile */
        j->ids[left] = j->bpe->made[rank];
        j->ids[right] = -1;
        j->after[left] = j->after[right];
        if (j->after[left] != NOTHING)
            j->before[j->after[left]] = left;
        offer(j, j->before[left], left);
        offer(j, left, j->after[left]);
    }
}

/* Every join takes an item off the heap and offers at most two, so 2n have room. */
static int64_t join_long(const chronos_bpe *bpe, int32_t *ids, size_t n) {
    uint32_t *links = malloc(2 * n * sizeof *links);
    uint64_t *heap = malloc(2 * n * sizeof *heap);
    if (!links || !heap) {
        free(links);
        free(heap);
        return -1;
    }
    joining j = {bpe, ids, links, links + n, heap, 0};
    for (size_t i = 0; i < n; i++) {
        j.before[i] = i ? (uint32_t)(i - 1) : NOTHING;
        j.after[i] = i + 1 < n ? (uint32_t)(i + 1) : NOTHING;
    }
    for (size_t i = 0; i + 1 < n; i++)
        offer(&j, (uint32_t)i, (uint32_t)(i + 1));
    join_all(&j);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (ids[i] >= 0)
            ids[kept++] = ids[i];
    free(links);
    free(heap);
    return (int64_t)kept;
}

int64_t merge_word(const chronos_bpe *bpe, const uint8_t *word, size_t size, int32_t *ids) {
    for (size_t i = 0; i < size; i++)
        ids[i] = bpe->byte_ids[word[i]];
    return size <= SHORT ? (int64_t)join_short(bpe, ids, size) : join_long(bpe, ids, size);
}
