/* The kernels of the scan for any 64-bit ARM: scan_neon.h, with bytes multiplied into 16 bits. */
#include "scan.h"

#ifdef HAVE_NEON
#include "neon.h"

#include "scan_neon.h"

const scan_kernels scan_neon = {"neon", int8_scores, bf16_scores, above};
#endif
