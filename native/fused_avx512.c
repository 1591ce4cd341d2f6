/* The fused kernels for x86-64 with AVX-512 (F): a vector is sixteen floats, and masks take what is left.
 * What the kernels are stands in fused_math.h, fused_each.h and fused_rows.h. */
#include "fused.h"
#include "step.h"

#ifdef HAVE_AVX2
#include <immintrin.h>
#include <math.h>

#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))
enum { W = 16 };
typedef __m512 V;

INLINE __mmask16 mask(size_t k) { return (__mmask16)((1u << k) - 1); }
INLINE V set(float f) { return _mm512_set1_ps(f); }
INLINE V load(const float *p, size_t k) {
    return k == W ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(mask(k), p);
}
INLINE void store(float *p, V v, size_t k) {
    if (k == W)
        _mm512_storeu_ps(p, v);
    else
        _mm512_mask_storeu_ps(p, mask(k), v);
}
INLINE void stream(float *p, V v) { _mm512_stream_ps(p, v); }
INLINE void stream_end(void) { _mm_sfence(); }
INLINE V keep(V v, float other, size_t k) {
    return k == W ? v : _mm512_mask_blend_ps(mask(k), set(other), v);
}
INLINE V fma_of(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
INLINE V least(V a, V b) { return _mm512_min_ps(a, b); } /* b where one is NaN */
INLINE V most(V a, V b) { return _mm512_max_ps(a, b); }
INLINE V root(V v) { return _mm512_sqrt_ps(v); }
INLINE V magnitude(V v) { return _mm512_abs_ps(v); }
INLINE V with_sign(V v, V sign) { return _mm512_or_ps(v, _mm512_and_ps(sign, set(-0.0f))); }
INLINE V nearest(V v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE V times_power(V v, V n) { /* 0, not a subnormal number, for n = -127, as the others have it */
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(n, set(-127.0f), _CMP_NLE_UQ), v, n);
}
INLINE float sum_of(V v) { return _mm512_reduce_add_ps(v); }
INLINE float most_of(V v) { return _mm512_reduce_max_ps(v); }

#include "fused_math.h"

#include "fused_each.h"

#include "fused_rows.h"

#include "step_rows.h"

fused_kernel *const fused_avx512[FUSED_KERNELS] = FUSED_TABLE;
step_kernel *const step_avx512[STEP_KINDS] = STEP_TABLE;
#endif
