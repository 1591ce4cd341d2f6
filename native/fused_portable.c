/* The fused kernels in plain C, for any machine: a vector is one float, and the compiler may join several.
 * What the kernels are stands in fused_math.h, fused_each.h and fused_rows.h. */
#include "fused.h"
#include "step.h"

#include <math.h>

#define TARGET
#define INLINE static inline
enum { W = 1 };
typedef float V;

INLINE V set(float f) { return f; }
INLINE V load(const float *p, size_t k) { return (void)k, *p; }
INLINE void store(float *p, V v, size_t k) { (void)k, *p = v; }
INLINE void stream(float *p, V v) { *p = v; }
INLINE void stream_end(void) {}
INLINE V keep(V v, float other, size_t k) { return (void)other, (void)k, v; }
INLINE V fma_of(V a, V b, V c) { return a * b + c; }
INLINE V least(V a, V b) { return a < b ? a : b; } /* b where one is NaN, as x86 has it */
INLINE V most(V a, V b) { return a > b ? a : b; }
INLINE V root(V v) { return sqrtf(v); }
INLINE V magnitude(V v) { return float_of_bits(float_bits(v) & 0x7fffffff); }
INLINE V with_sign(V v, V sign) { return float_of_bits(float_bits(v) | (float_bits(sign) & 0x80000000)); }
INLINE V nearest(V v) { return (v + 0x1.8p23f) - 0x1.8p23f; } /* |v| < 2^22 */
/* -127 <= n <= 128; the sum's low bits hold n + 127, those of a NaN anything. */
INLINE V times_power(V v, V n) { return v * float_of_bits(float_bits(n + (0x1.8p23f + 127)) << 23); }
INLINE float sum_of(V v) { return v; }
INLINE float most_of(V v) { return v; }

#include "fused_math.h"

#include "fused_each.h"

#include "fused_rows.h"

#include "step_rows.h"

fused_kernel *const fused_portable[FUSED_KERNELS] = FUSED_TABLE;
step_kernel *const step_portable[STEP_KINDS] = STEP_TABLE;
