"""Builds the C kernels as the extension `chronos.native._chronos_native` (cffi, API mode).

Read by setup.py and never imported at run time: a machine without a C compiler installs without the extension
and uses plain.py. Rebuild after editing C with `python setup.py build_ext --inplace`.
"""

import hashlib
import sys
from pathlib import Path

from cffi import FFI

FOLDER = "native"  # setuptools wants paths relative to setup.py, where builds run
C_FILES = (
    *("dispatch.c", "limits.c", "pool.c", "quants.c"),
    *("matmul.c", "matmul_avx2.c", "matmul_portable.c"),
    *("matmul_neon.c", "matmul_neon_dot.c", "gemm_neon.c", "scan_neon.c", "scan_neon_dot.c"),
    *("scan.c", "scan_avx2.c", "scan_avx512.c", "scan_portable.c", "plan.c"),
    *("back.c", "pack.c", "packed.c", "packed_avx2.c", "packed_avx512.c", "packed_bf16.c"),
    *("packed_portable.c", "quants_int4.c", "quants_k.c"),
    "attend.c",
    *("gemm.c", "gemm_avx2.c", "gemm_avx512.c", "gemm_few_avx512.c", "gemm_portable.c"),
    *("count.c", "cut.c", "encode.c", "learn.c", "merge.c", "pairs.c"),
    *("fused.c", "fused_avx2.c", "fused_avx512.c", "fused_neon.c", "fused_portable.c"),
)
HEADERS = (
    "attend.h",
    "chronos_native.h",
    "gemm.h",
    "gemm_avx512.h",
    "matmul_neon.h",
    "neon.h",
    "pairs.h",
    "products.h",
    "scan.h",
    "scan_neon.h",
    "step.h",
    "step_rows.h",
    "tokens.h",
    *(f"fused{part}.h" for part in ("", "_each", "_math", "_rows")),
)

# What Python calls; chronos_native.h, tokens.h and fused.h say what each does.
# Pointers are to whole, contiguous arrays.
CDEF = """
int chronos_quantize(int type, const float *w, size_t rows, size_t k, uint8_t *blocks);
int chronos_dequantize(int type, const uint8_t *blocks, size_t rows, size_t k, float *w);
int chronos_matmul(int type, const uint8_t *w, size_t n, size_t k, const float *x, size_t b, float *y);
int chronos_pack(int type, const uint8_t *blocks, size_t n, size_t k, uint8_t *panels);
int chronos_unpack_rows(int type, const uint8_t *panels, size_t k, const int64_t *rows, size_t count,
                        uint8_t *blocks);
int chronos_matmul_packed(int type, const uint8_t *panels, size_t n, size_t k, const float *x, size_t b,
                          float *y);
int chronos_back(int type, const uint8_t *blocks, size_t n, size_t k, const float *g, size_t b, float *y);
size_t chronos_nonfinite(const float *x, size_t n);
uint64_t chronos_read(const uint8_t *data, size_t bytes, size_t times);
double chronos_peak(int kind, size_t rounds);
void chronos_empty_jobs(size_t jobs);
int chronos_gemm_bf16(void);
size_t chronos_gemm_packed(int kind, size_t n, size_t k);
int chronos_gemm_pack(int kind, size_t n, size_t k, const float *b, size_t b_row, size_t b_col,
                      uint32_t *packed);
int chronos_gemm(int kind, size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                 const float *b, size_t b_row, size_t b_col, const uint32_t *packed, float *c, size_t ldc,
                 int add);
int chronos_isa_choose(const char *name);
const char *chronos_isa_name(void);
const char *chronos_isa_at(int i);
int chronos_set_threads(int n);
int chronos_threads(void);
const char *chronos_compiler(void);
const char *chronos_sources(void);

typedef struct { const uint8_t *at; size_t stride; } chronos_column;
typedef struct {
    chronos_column keys, scales, allowed, times, sources;
    size_t n, width, q, k;
    int bf16;
    const void *queries;
    int64_t since, until;
    const uint8_t *wanted;
} chronos_search;
int chronos_scan(const chronos_search *search, int64_t *ids, void *scores);

typedef struct {
    int32_t kind, type, add;
    uint32_t items, grain;
    size_t d, k, heads, groups, room;
    float f;
    const void *w;
    const float *x;
    float *y, *v, *u, *z;
    int32_t *picks;
} chronos_step;
int chronos_plan_run(const chronos_step *steps, size_t n, int64_t token, int64_t at);

typedef struct chronos_cutter chronos_cutter;
typedef struct chronos_bpe chronos_bpe;
typedef struct chronos_cache chronos_cache;
typedef struct chronos_counter chronos_counter;
typedef struct chronos_learner chronos_learner;
chronos_cutter *chronos_cutter_new(int pattern, const uint8_t *classes);
void chronos_cutter_free(chronos_cutter *cutter);
chronos_counter *chronos_counter_new(void);
void chronos_counter_free(chronos_counter *counter);
int chronos_counter_add(chronos_counter *counter, const chronos_cutter *cutter, const uint8_t *text,
                        size_t size);
int chronos_counter_add_counted(chronos_counter *counter, const uint8_t *data, const int64_t *ends,
                                const int64_t *counts, size_t n);
size_t chronos_counter_words(const chronos_counter *counter);
size_t chronos_counter_bytes(const chronos_counter *counter);
void chronos_counter_export(const chronos_counter *counter, uint8_t *data, int64_t *ends, int64_t *counts);
chronos_bpe *chronos_bpe_new(const int32_t *byte_ids, const int32_t *merges, size_t n);
void chronos_bpe_free(chronos_bpe *bpe);
chronos_cache *chronos_cache_new(void);
void chronos_cache_free(chronos_cache *cache);
int chronos_encode(const chronos_bpe *bpe, chronos_cache *cache, const chronos_cutter *cutter,
                   const uint8_t *data, const int64_t *ends, size_t n, int32_t *ids, int64_t *id_ends);
chronos_learner *chronos_learner_new(const uint8_t *data, const int64_t *ends, const int64_t *counts,
                                     size_t n, const int32_t *byte_ids, const uint8_t *specials,
                                     const int64_t *special_ends, size_t n_specials, int32_t vocab);
void chronos_learner_free(chronos_learner *learner);
int chronos_learner_run(chronos_learner *learner, size_t steps);
int32_t chronos_learner_ids(const chronos_learner *learner);
int chronos_learner_done(const chronos_learner *learner);
size_t chronos_learner_merges(const chronos_learner *learner);
void chronos_learner_export(const chronos_learner *learner, int32_t *merges);

int chronos_map(int which, const float *x, float *y, size_t n);
int chronos_gelu_backward(const float *dy, const float *x, float *dx, size_t n);
int chronos_swiglu(const float *x, float *y, size_t rows, size_t d);
int chronos_swiglu_backward(const float *dy, const float *x, float *dx, size_t rows, size_t d);
int chronos_rotary(const float *x, const float *cosines, const float *sines, float *y, size_t rows,
                   size_t heads, size_t some, size_t k);
int chronos_adamw(float *w, const float *g, float *m, float *v, size_t n, const float *constants);
int chronos_rms_norm(const float *x, const float *gain, float eps, float *y, float *rstd, size_t rows,
                     size_t heads, size_t some, size_t k);
int chronos_rms_norm_backward(const float *dy, const float *x, const float *gain, const float *rstd,
                              float *dx, float *dgain, size_t rows, size_t heads, size_t some, size_t k);
int chronos_layer_norm(const float *x, const float *gain, const float *shift, float eps, float *y,
                       float *mean, float *rstd, size_t rows, size_t d);
int chronos_layer_norm_backward(const float *dy, const float *x, const float *gain, const float *mean,
                                const float *rstd, float *dx, float *dgain, float *dshift, size_t rows,
                                size_t d);
int chronos_softmax(float *s, const int64_t *visible, float scale, float *lse, size_t batch, size_t heads,
                    size_t queries, size_t keys);
int chronos_softmax_again(float *s, const float *lse, const int64_t *visible, float scale, size_t batch,
                          size_t heads, size_t queries, size_t keys);
int chronos_softmax_backward(const float *p, float *dp, const float *delta, float scale, size_t rows,
                             size_t keys);
int chronos_cross_entropy(float *logits, const int64_t *targets, float scale, float *losses, size_t rows,
                          size_t e);
int chronos_attend(int kind, const float *x, const int64_t *visible, float scale, float *o, float *lse,
                   size_t batch, size_t tokens, size_t heads, size_t key_heads, size_t k);
int chronos_attend_backward(int kind, const float *x, const int64_t *visible, float scale, const float *lse,
                            const float *grad, float *dx, size_t batch, size_t tokens, size_t heads,
                            size_t key_heads, size_t k);
"""

PREAMBLE = """
#include "scan.h"
#include "step.h"
#include "fused.h"
#include "attend.h"
#include "products.h"
#include "gemm.h"
#include "tokens.h"
#if defined(__clang__)
static const char *chronos_compiler(void) { return "clang " __clang_version__; }
#elif defined(__GNUC__)
static const char *chronos_compiler(void) { return "gcc " __VERSION__; }
#else
static const char *chronos_compiler(void) { return "another C compiler"; }
#endif
static const char *chronos_sources(void) { return "SOURCES"; }
"""

# No -march and no -ffast-math: the kernels choose their instructions when they run, and mean what they say.
# Contraction is off because a fused multiply-add rounds some weights to other codes than llama.cpp's.
POSIX = ["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra"]
MSVC = ["/std:c11", "/O2", "/fp:precise"]


def fingerprint(folder: Path) -> str:
    """A hash of the C sources; the extension carries the one that it was built from."""
    digest = hashlib.sha256(CDEF.encode())
    for name in (*HEADERS, *C_FILES):
        digest.update((folder / name).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]


def ffibuilder() -> FFI:
    """What setuptools' `cffi_modules` asks for, called with the folder of setup.py as working directory."""
    ffi = FFI()
    ffi.cdef(CDEF)
    ffi.set_source(
        "chronos.native._chronos_native",
        PREAMBLE.replace("SOURCES", fingerprint(Path(FOLDER))),
        sources=[f"{FOLDER}/{name}" for name in C_FILES],
        depends=[f"{FOLDER}/{name}" for name in HEADERS],
        include_dirs=[FOLDER],
        extra_compile_args=MSVC if sys.platform == "win32" else POSIX,
        extra_link_args=[] if sys.platform == "win32" else ["-pthread", "-lm"],
        optional=True,
    )
    return ffi
