/* The kernels of the scan for 64-bit ARM with SDOT: scan_neon.h, four bytes at a time. */
#include "scan.h"

#ifdef HAVE_NEON_DOT
#define NEON_DOT
#include "neon.h"

#include "scan_neon.h"

const scan_kernels scan_neon_dot = {"neon_dot", int8_scores, bf16_scores, above};
#endif
