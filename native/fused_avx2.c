/* The fused kernels for x86-64 with AVX2 and FMA: a vector is eight floats.
 * What the kernels are stands in fused_math.h, fused_each.h and fused_rows.h. */
#include "fused.h"
#include "step.h"

#ifdef HAVE_AVX2
#include <immintrin.h>
#include <math.h>

#define TARGET __attribute__((target("avx2,fma")))
#define INLINE TARGET static inline __attribute__((always_inline))
enum { W = 8 };
typedef __m256 V;

static const int32_t lanes[2 * W] = {-1, -1, -1, -1, -1, -1, -1, -1};

INLINE __m256i mask(size_t k) { return _mm256_loadu_si256((const __m256i *)(lanes + W - k)); }
INLINE V set(float f) { return _mm256_set1_ps(f); }
INLINE V load(const float *p, size_t k) {
    return k == W ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask(k));
}
INLINE void store(float *p, V v, size_t k) {
    if (k == W)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, mask(k), v);
}
INLINE void stream(float *p, V v) { _mm256_stream_ps(p, v); }
INLINE void stream_end(void) { _mm_sfence(); }
INLINE V keep(V v, float other, size_t k) {
    return k == W ? v : _mm256_blendv_ps(set(other), v, _mm256_castsi256_ps(mask(k)));
}
INLINE V fma_of(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
INLINE V least(V a, V b) { return _mm256_min_ps(a, b); } /* b where one is NaN */
INLINE V most(V a, V b) { return _mm256_max_ps(a, b); }
INLINE V root(V v) { return _mm256_sqrt_ps(v); }
INLINE V magnitude(V v) { return _mm256_andnot_ps(set(-0.0f), v); }
INLINE V with_sign(V v, V sign) { return _mm256_or_ps(v, _mm256_and_ps(sign, set(-0.0f))); }
INLINE V nearest(V v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE V times_power(V v, V n) { /* -127 <= n <= 128 */
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return v * _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}
INLINE float sum_of(V v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float most_of(V v) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

#include "fused_math.h"

#include "fused_each.h"

#include "fused_rows.h"

#include "step_rows.h"

fused_kernel *const fused_avx2[FUSED_KERNELS] = FUSED_TABLE;
step_kernel *const step_avx2[STEP_KINDS] = STEP_TABLE;
#endif
