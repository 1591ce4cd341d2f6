/* Blocks to panels and back: the layout that products.h draws. Bytes are moved, nothing is computed.
 * Done once for each tensor, so this is plain C for every ISA. */
#include "products.h"

format format_of(int type) {
    switch (type) {
    case CHRONOS_Q4_0: return (format){BLOCK, Q4_0_BYTES};
    case CHRONOS_Q8_0: return (format){BLOCK, Q8_0_BYTES};
    case CHRONOS_Q2_K: return (format){SUPER, Q2_K_BYTES};
    case CHRONOS_INT4_32: return (format){32, 18};
    case CHRONOS_INT4_64: return (format){64, 34};
    case CHRONOS_INT4_128: return (format){128, 66};
    case CHRONOS_F16:
    case CHRONOS_BF16: return (format){1, 2};
    default: return (format){0, 0};
    }
}

/* Where bytes of a block lie in a row's share of a panel: `count` pieces of `size` bytes, 16 * size apart.
 * `in` moves them from the block to the panel, else back. */
static void move(uint8_t *lane, uint8_t *block, size_t size, size_t count, int in) {
    for (size_t i = 0; i < count; i++, lane += PANEL * size, block += size)
        if (in)
            memcpy(lane, block, size);
        else
            memcpy(block, lane, size);
}

/* Block i of 32 weights; lane is the row's place in the panel. INT4 writes its scale once for each 32. */
static void move_32(int type, uint8_t *panel, size_t row, size_t i, uint8_t *scale, uint8_t *codes, int in) {
    size_t size = panel_step_bytes(type), half = (size - LANES4) / 2;
    uint8_t *step = panel + i / 2 * size, *to = step + LANES4 + i % 2 * half + row * 4;
    move(step + i % 2 * PANEL * 2 + row * 2, scale, 2, 1, in);
    if (type != CHRONOS_Q8_0) {
        move(to, codes, 4, 4, in);
        return;
    }
    uint8_t flipped[BLOCK];
    for (int j = 0; in && j < BLOCK; j++)
        flipped[j] = codes[j] ^ 0x80;
    move(to, flipped, 4, 8, in);
    for (int j = 0; !in && j < BLOCK; j++)
        codes[j] = flipped[j] ^ 0x80;
}

static void move_row(int type, uint8_t *panel, size_t row, uint8_t *blocks, size_t k, int in) {
    format f = format_of(type);
    size_t group = f.weights / BLOCK;
    if (type == CHRONOS_F16) {
        move(panel + row * 2, blocks, 2, k, in);
        return;
    }
    if (type == CHRONOS_BF16) {
        move(panel + row * 4, blocks, 4, k / 2, in);
        move(panel + row * 4 + k / 2 * LANES4, blocks + k / 2 * 4, 2, k % 2, in);
        return;
    }
    if (type != CHRONOS_Q2_K) {
        for (size_t i = 0; i < k / BLOCK; i++) {
            uint8_t *block = blocks + i / group * f.bytes;
            size_t bytes = type == CHRONOS_Q8_0 ? BLOCK : BLOCK / 2; /* of 32 codes */
            move_32(type, panel, row, i, block, block + 2 + i % group * bytes, in);
        }
        return;
    }
    for (size_t i = 0; i < k / SUPER; i++, panel += panel_step_bytes(type), blocks += f.bytes) {
        move(panel + row * 2, blocks + 80, 2, 2, in); /* d and dmin come last in the block */
        move(panel + LANES4 + row * 4, blocks, 4, 20, in);
    }
}

void pack_panel(int type, const uint8_t *blocks, size_t rows, size_t k, uint8_t *panel) {
    memset(panel, 0, panel_bytes(type, k));
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = blocks + r * row_bytes(type, k);
        move_row(type, panel, r, (uint8_t *)(uintptr_t)row, k, 1); /* which is only read */
    }
}

void unpack_row(int type, const uint8_t *panels, size_t k, size_t row, uint8_t *blocks) {
    const uint8_t *panel = panels + row / PANEL * panel_bytes(type, k);
    move_row(type, (uint8_t *)(uintptr_t)panel, row % PANEL, blocks, k, 0); /* which is only read */
}
