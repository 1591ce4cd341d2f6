/* Products with quantized weights for any 64-bit ARM: matmul_neon.h, with bytes multiplied into 16 bits. */
#include "products.h"

#ifdef HAVE_NEON
#include "neon.h"

#include "matmul_neon.h"

static const panel_table panels = PANELS;
const isa_table isa_neon = ISA("neon", &panels);
#endif
