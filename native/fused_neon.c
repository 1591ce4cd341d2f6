/* The fused kernels for 64-bit ARM: a vector is four floats, and what is left goes through a small buffer.
 * What the kernels are stands in fused_math.h, fused_each.h and fused_rows.h. */
#include "fused.h"
#include "step.h"

#ifdef HAVE_NEON
#include <arm_neon.h>
#include <math.h>

#define TARGET
#define INLINE static inline __attribute__((always_inline))
enum { W = 4 };
typedef float32x4_t V;

INLINE V set(float f) { return vdupq_n_f32(f); }
INLINE V load(const float *p, size_t k) {
    float part[W] = {0};
    return k == W ? vld1q_f32(p) : (memcpy(part, p, k * sizeof *p), vld1q_f32(part));
}
INLINE void store(float *p, V v, size_t k) {
    float part[W];
    if (k == W) {
        vst1q_f32(p, v);
        return;
    }
    vst1q_f32(part, v);
    memcpy(p, part, k * sizeof *p);
}
INLINE void stream(float *p, V v) { vst1q_f32(p, v); }
INLINE void stream_end(void) {}
INLINE V keep(V v, float other, size_t k) {
    static const uint32_t lanes[2 * W] = {~0u, ~0u, ~0u, ~0u};
    return k == W ? v : vbslq_f32(vld1q_u32(lanes + W - k), v, set(other));
}
INLINE V fma_of(V a, V b, V c) { return vfmaq_f32(c, a, b); }
INLINE V least(V a, V b) { return vminq_f32(a, b); } /* NaN where one is NaN */
INLINE V most(V a, V b) { return vmaxq_f32(a, b); }
INLINE V root(V v) { return vsqrtq_f32(v); }
INLINE V magnitude(V v) { return vabsq_f32(v); }
INLINE V with_sign(V v, V sign) { return vbslq_f32(vdupq_n_u32(0x80000000), sign, v); }
INLINE V nearest(V v) { return vrndnq_f32(v); }
INLINE V times_power(V v, V n) { /* -127 <= n <= 128 */
    int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return v * vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
}
INLINE float sum_of(V v) { return vaddvq_f32(v); }
INLINE float most_of(V v) { return vmaxvq_f32(v); }

#include "fused_math.h"

#include "fused_each.h"

#include "fused_rows.h"

#include "step_rows.h"

fused_kernel *const fused_neon[FUSED_KERNELS] = FUSED_TABLE;
step_kernel *const step_neon[STEP_KINDS] = STEP_TABLE;
#endif
