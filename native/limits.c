/* What the hardware allows: reading with the threads of the kernels, multiply-adds in registers, empty jobs.
 * No product can be faster than its weights can be read, nor than its multiply-adds alone. Used by benchmarks
 * alone. Compiled without -march: the loops of an ISA carry their own target. */
#include "gemm.h"

#include <stdlib.h>

enum { TASK_BYTES = 1 << 20, READ_STEP = 256 };

/* The sum of the 64-bit words of data (bytes,), a multiple of READ_STEP: nothing is left unread. */
typedef uint64_t read_fn(const uint8_t *data, size_t bytes);

/* So many rounds of multiply-adds that need nothing but registers and never wait for each other. */
typedef float peak_fn(size_t rounds);
enum { PEAK_FLOAT32, PEAK_INT8, PEAK_BF16, PEAKS };

/* operations: multiplications and additions of a round; a NULL peak has no instruction here. */
typedef struct {
    read_fn *read;
    peak_fn *peak[PEAKS];
    size_t operations[PEAKS];
} limit_table;

static uint64_t read_portable(const uint8_t *data, size_t bytes) {
    enum { LANES = READ_STEP / 8 };
    uint64_t sums[LANES] = {0}, sum = 0;
    for (size_t i = 0; i < bytes; i += READ_STEP)
        for (int j = 0; j < LANES; j++) {
            uint64_t word;
            memcpy(&word, data + i + j * sizeof word, sizeof word);
            sums[j] += word;
        }
    for (int j = 0; j < LANES; j++)
        sum += sums[j];
    return sum;
}

/* No peak: what a compiler makes of plain C is not what the CPU can do. */
static const limit_table limits_portable = {read_portable, {0}, {0}};

#ifdef HAVE_AVX2
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define BF16 __attribute__((target("avx512f,avx512bf16")))
#define UNROLL _Pragma("GCC unroll 16")
/* The compiler must not know these numbers: it would find shorter ways to the sums. */
#define HIDE(...) __asm__ volatile("" : "+v"(__VA_ARGS__))

/* A round: twice as many as wait for each other's four cycles on two ports. AVX2 has 16 registers, AVX-512 32. */
enum { SUMS2 = 12, SUMS = 16 };

AVX2 static uint64_t read_avx2(const uint8_t *data, size_t bytes) {
    __m256i sum[8];
    uint64_t words[4];
    UNROLL for (int i = 0; i < 8; i++) sum[i] = _mm256_setzero_si256();
    for (const uint8_t *end = data + bytes; data < end; data += READ_STEP)
        UNROLL for (int i = 0; i < 8; i++)
            sum[i] = _mm256_add_epi64(sum[i], _mm256_loadu_si256((const __m256i *)(const void *)(data + 32 * i)));
    UNROLL for (int i = 1; i < 8; i++) sum[0] = _mm256_add_epi64(sum[0], sum[i]);
    _mm256_storeu_si256((__m256i *)(void *)words, sum[0]);
    return words[0] + words[1] + words[2] + words[3];
}

AVX2 static float float32_avx2(size_t rounds) {
    __m256 sum[SUMS2], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    HIDE(a);
    UNROLL for (int i = 0; i < SUMS2; i++) sum[i] = _mm256_set1_ps((float)i);
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS2; i++) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    UNROLL for (int i = 1; i < SUMS2; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return _mm256_cvtss_f32(sum[0]);
}

/* Without VNNI a product of bytes takes three instructions. */
AVX2 static float int8_avx2(size_t rounds) {
    __m256i sum[SUMS2], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    UNROLL for (int i = 0; i < SUMS2; i++) sum[i] = _mm256_set1_epi32(i);
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS2; i++) {
            HIDE(a);
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
        }
    UNROLL for (int i = 1; i < SUMS2; i++) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    return (float)_mm256_extract_epi32(sum[0], 0);
}

AVX512 static uint64_t read_avx512(const uint8_t *data, size_t bytes) {
    __m512i sum[8];
    UNROLL for (int i = 0; i < 8; i++) sum[i] = _mm512_setzero_si512();
    const uint8_t *end = data + bytes;
    for (; data + 2 * READ_STEP <= end; data += 2 * READ_STEP)
        UNROLL for (int i = 0; i < 8; i++) { /* asked for early, as the kernels do it */
            _mm_prefetch((const char *)((uintptr_t)data + 4096 + 64 * i), _MM_HINT_T0);
            sum[i] = _mm512_add_epi64(sum[i], _mm512_loadu_si512(data + 64 * i));
        }
    UNROLL for (int i = 0; i < 4 && data < end; i++)
        sum[i] = _mm512_add_epi64(sum[i], _mm512_loadu_si512(data + 64 * i));
    UNROLL for (int i = 1; i < 8; i++) sum[0] = _mm512_add_epi64(sum[0], sum[i]);
    return (uint64_t)_mm512_reduce_add_epi64(sum[0]);
}

AVX512 static float float32_avx512(size_t rounds) {
    __m512 sum[SUMS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    HIDE(a);
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    UNROLL for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}

AVX512 static float int8_avx512(size_t rounds) {
    __m512i sum[SUMS], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(1);
    HIDE(a);
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_set1_epi32(i); /* alike, they would be one */
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbusd_epi32(sum[i], a, b);
    UNROLL for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    return (float)_mm512_cvtsi512_si32(sum[0]);
}

BF16 static float bf16_avx512(size_t rounds) {
    __m512 sum[SUMS];
    __m512i ones = _mm512_set1_epi16(0x3f80);
    HIDE(ones);
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbf16_ps(sum[i], (__m512bh)ones, (__m512bh)ones);
    UNROLL for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}

static const limit_table limits_avx2 = {
    read_avx2, {float32_avx2, int8_avx2, NULL}, {SUMS2 * 8 * 2, SUMS2 * 32 * 2, 0}};
static const limit_table limits_avx512 = {read_avx512,
                                   {float32_avx512, int8_avx512, bf16_avx512},
                                   {SUMS * 16 * 2, SUMS * 64 * 2, SUMS * 32 * 2}};
#endif

static const limit_table *chosen_limits(void) {
#ifdef HAVE_AVX2
    const char *isa = isa_chosen()->name;
    if (strcmp(isa, "avx512") == 0)
        return &limits_avx512;
    if (strcmp(isa, "avx2") == 0)
        return &limits_avx2;
#endif
    return &limits_portable;
}

typedef struct {
    const uint8_t *data;
    size_t bytes, part, times;
    uint64_t *sums; /* one for each task */
} reading;

static void read_task(void *context, size_t task) {
    const reading *r = context;
    const uint8_t *p = r->data + task * r->part;
    size_t left = r->bytes - task * r->part, bytes = left < r->part ? left : r->part;
    uint64_t sum = 0;
    for (size_t i = 0; i < r->times; i++)
        sum += chosen_limits()->read(p, bytes / READ_STEP * READ_STEP);
    r->sums[task] = sum;
}

uint64_t chronos_read(const uint8_t *data, size_t bytes, size_t times) {
    size_t threads = (size_t)chronos_threads(), share = (bytes + threads - 1) / threads;
    /* Again and again: to each thread its own part, which may fit its cache. Once: whoever is free reads on. */
    size_t part = times > 1 ? (share + READ_STEP - 1) / READ_STEP * READ_STEP + READ_STEP : TASK_BYTES;
    size_t tasks = (bytes + part - 1) / part;
    uint64_t sum = 0, *sums = malloc(tasks * sizeof *sums + 1);
    if (!sums)
        return 0;
    reading r = {data, bytes, part, times, sums};
    pool_run(read_task, &r, tasks);
    for (size_t i = 0; i < tasks; i++)
        sum += sums[i];
    free(sums);
    return sum;
}

typedef struct {
    peak_fn *peak;
    size_t rounds;
} peaking;

static void peak_task(void *context, size_t task) {
    const peaking *p = context;
    volatile float kept = p->peak(p->rounds);
    (void)kept, (void)task;
}

double chronos_peak(int kind, size_t rounds) {
    const limit_table *t = chosen_limits();
    size_t threads = (size_t)chronos_threads();
    if (kind < 0 || kind >= PEAKS || !t->peak[kind] || (kind == PEAK_BF16 && !chronos_gemm_bf16()))
        return 0;
    peaking p = {t->peak[kind], rounds};
    pool_run(peak_task, &p, threads);
    return (double)t->operations[kind] * (double)rounds * (double)threads;
}

static void nothing(void *context, size_t task) { (void)context, (void)task; }

/* Runs so many jobs of a task a thread, and one more in every second: a late worker must not take the next
 * job for its own. */
void chronos_empty_jobs(size_t jobs) {
    for (size_t i = 0; i < jobs; i++)
        pool_run(nothing, NULL, (size_t)chronos_threads() + i % 2);
}
