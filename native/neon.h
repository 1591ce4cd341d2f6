/* Four products of bytes added up in each lane, for every file of 64-bit ARM: by SDOT where NEON_DOT is defined.
 * Sums are exact, so both ways give the same integers. */
#include <arm_neon.h>

#ifdef NEON_DOT
#ifdef __ARM_FEATURE_DOTPROD
#define TARGET
#else
#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
TARGET static inline __attribute__((always_inline)) int32x4_t dot4(int32x4_t sum, int8x16_t a, int8x16_t b) {
    return vdotq_s32(sum, a, b);
}
#else
#define TARGET
static inline __attribute__((always_inline)) int32x4_t dot4(int32x4_t sum, int8x16_t a, int8x16_t b) {
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    return vaddq_s32(sum, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
}
#endif
