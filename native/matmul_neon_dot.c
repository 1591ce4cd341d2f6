/* Products with quantized weights for 64-bit ARM with SDOT: matmul_neon.h, four bytes at a time. */
#include "products.h"

#ifdef HAVE_NEON_DOT
#define NEON_DOT
#include "neon.h"

#include "matmul_neon.h"

static const panel_table panels = PANELS;
const isa_table isa_neon_dot = ISA("neon_dot", &panels);
#endif
