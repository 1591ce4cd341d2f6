"""Builds the C kernels as the extension `chronos.native._chronos_native` (cffi, API mode).

Read by setup.py and never imported at run time: a machine without a C compiler installs without the extension
and uses plain.py. Rebuild after editing C with `python setup.py build_ext --inplace`.
"""

import hashlib
import sys
from pathlib import Path

from cffi import FFI

FOLDER = "native"  # setuptools wants paths relative to setup.py, where builds run
C_FILES = ("dispatch.c", "limits.c", "matmul.c", "matmul_avx2.c", "matmul_portable.c", "pool.c", "quants.c")
HEADER = "chronos_native.h"

# What Python calls; chronos_native.h says what each does. Pointers are to whole, contiguous arrays.
CDEF = """
int chronos_quantize(int type, const float *w, size_t rows, size_t k, uint8_t *blocks);
int chronos_dequantize(int type, const uint8_t *blocks, size_t rows, size_t k, float *w);
int chronos_matmul(int type, const uint8_t *w, size_t n, size_t k, const float *x, size_t b, float *y);
size_t chronos_nonfinite(const float *x, size_t n);
uint64_t chronos_read(const uint8_t *data, size_t bytes);
int chronos_isa_choose(const char *name);
const char *chronos_isa_name(void);
const char *chronos_isa_at(int i);
int chronos_set_threads(int n);
int chronos_threads(void);
const char *chronos_compiler(void);
const char *chronos_sources(void);
"""

PREAMBLE = """
#include "chronos_native.h"
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
    for name in (HEADER, *C_FILES):
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
        depends=[f"{FOLDER}/{HEADER}"],
        include_dirs=[FOLDER],
        extra_compile_args=MSVC if sys.platform == "win32" else POSIX,
        extra_link_args=[] if sys.platform == "win32" else ["-pthread"],
        optional=True,
    )
    return ffi
