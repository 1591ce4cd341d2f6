"""ggml's products for bench_native.py, through ctypes: llama-cpp-python's library, or one that you built.

Weights are held in both of its ways, plain (as files have them) and repacked where it knows a layout; the
caller counts the better. It times nothing and knows no other part of ggml.
"""

import ctypes
import importlib.util
import os
from collections.abc import Callable
from contextlib import ExitStack
from ctypes import c_bool, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from chronos import native
from chronos.console import ChronosError
from chronos.native.bench_peers import Maker, Turn, Weights

LIBRARIES = ("ggml-base", "ggml-cpu", "ggml")  # each needs those before it
FILES = ("lib{}.so", "lib{}.dylib", "{}.dll")
TYPES = {"F16": 1, "Q4_0": 2, "Q8_0": 8, "Q2_K": 10, "BF16": 30}
ALIKE = {"INT4": "Q4_0"}  # ours alone: compared with the nearest
FLOAT32, CPU, OF_WEIGHTS = 0, 0, 1
P = c_void_p


class Params(ctypes.Structure):
    """ggml_init_params."""

    _fields_ = (("size", c_size_t), ("memory", P), ("no_alloc", c_bool))


PROTOTYPES = {
    "ggml_init": (P, Params),
    "ggml_free": (None, P),
    "ggml_tensor_overhead": (c_size_t,),
    "ggml_graph_overhead": (c_size_t,),
    "ggml_new_tensor_2d": (P, P, c_int, c_int64, c_int64),
    "ggml_mul_mat": (P, P, P, P),
    "ggml_new_graph": (P, P),
    "ggml_build_forward_expand": (None, P, P),
    "ggml_log_set": (None, P, P),
    "ggml_threadpool_params_init": (None, P, c_int),
    "ggml_backend_init_by_type": (P, c_int, c_char_p),
    "ggml_backend_load_all_from_path": (None, c_char_p),
    "ggml_backend_get_device": (P, P),
    "ggml_backend_dev_backend_reg": (P, P),
    "ggml_backend_reg_get_proc_address": (P, P, c_char_p),
    "ggml_backend_get_default_buffer_type": (P, P),
    "ggml_backend_alloc_ctx_tensors_from_buft": (P, P, P),
    "ggml_backend_buffer_set_usage": (None, P, c_int),
    "ggml_backend_buffer_free": (None, P),
    "ggml_backend_tensor_set": (None, P, P, c_size_t, c_size_t),
    "ggml_backend_tensor_get": (None, P, P, c_size_t, c_size_t),
    "ggml_backend_supports_op": (c_bool, P, P),
    "ggml_backend_graph_compute": (c_int, P, P),
}
LOG = ctypes.CFUNCTYPE(None, c_int, c_char_p, P)(lambda level, text, data: None)  # it tells of each repacking


def folder(given: str | Path | None = None) -> Path | None:
    """Where libggml is: `given`, else $CHRONOS_GGML, else llama-cpp-python's; None if nowhere.

    ChronosError where a folder was named and does not hold it.
    """
    named = given or os.environ.get("CHRONOS_GGML")
    if named:
        if not library(Path(named), "ggml"):
            expected = " or ".join(name.format("ggml") for name in FILES)
            raise ChronosError("libggml is not there", where=named, expected=expected)
        return Path(named)
    spec = importlib.util.find_spec("llama_cpp")
    place = Path(spec.origin).parent / "lib" if spec and spec.origin else None
    return place if place and library(place, "ggml") else None


def library(place: Path, name: str) -> Path | None:
    """The file of one of ggml's libraries in a folder."""
    return next((file for pattern in FILES if (file := place / pattern.format(name)).exists()), None)


class Ggml:
    """The CPU backend of the libggml in a folder."""

    name = "ggml"

    def __init__(self, place: Path) -> None:
        self._call = _functions(place)
        backend = self._call["ggml_backend_init_by_type"](CPU, None)
        if not backend:  # built as plug-ins, one for each kind of CPU
            self._call["ggml_backend_load_all_from_path"](str(place).encode())
            backend = self._call["ggml_backend_init_by_type"](CPU, None)
        if not backend:
            raise ChronosError("ggml has no CPU backend", where=place)
        self._backend = backend
        device = self._call["ggml_backend_get_device"](backend)
        self._registry = self._call["ggml_backend_dev_backend_reg"](device)
        extra = self._found("ggml_backend_dev_get_extra_bufts", ctypes.POINTER(P), P)
        self._extra = _until_null(extra(device)) if extra else []
        self._count = self._found("ggml_backend_set_n_threads", None, P, c_int)
        self._new_pool = self._found("ggml_threadpool_new", P, P)
        self._free_pool = self._found("ggml_threadpool_free", None, P)
        self._use_pool = self._found("ggml_backend_cpu_set_threadpool", None, P, P)
        self._pool: int | None = None
        version = getattr(self._call["library"], "ggml_version", None)
        if version:
            version.restype = c_char_p
        self.about = f"ggml {version().decode() if version else '(of unknown version)'}"

    def _found(self, name: str, result: Any, *arguments: Any) -> Callable | None:
        """What the CPU backend offers beside its table."""
        address = self._call["ggml_backend_reg_get_proc_address"](self._registry, name.encode())
        return ctypes.CFUNCTYPE(result, *arguments)(address) if address else None

    def set_threads(self, count: int) -> None:
        """So many threads; a pool of them, for otherwise ggml starts new ones for each graph."""
        self._count(self._backend, count)
        if self._new_pool:
            self._sleep()
            if self._pool:
                self._free_pool(self._pool)
            room = ctypes.create_string_buffer(1 << 16)  # for a struct that grows from version to version
            self._call["ggml_threadpool_params_init"](room, count)
            self._pool = self._new_pool(room)

    def _sleep(self) -> None:
        """A pool that is not the backend's is paused; else its threads spin on the others' cores."""
        if self._pool:
            self._use_pool(self._backend, None)

    def hold(self, weights: Weights, stack: ExitStack) -> dict[str, Maker]:
        """Makers of turns, "plain" and "repacked", by the bytes of our blocks."""
        qtype = ALIKE.get(weights.qtype, weights.qtype)
        blocks = weights.blocks if qtype == weights.qtype else native.quantize(weights.w, qtype)
        count = weights.copies(blocks.nbytes)
        makers = {}
        kinds = {"plain": [self._call["ggml_backend_get_default_buffer_type"](self._backend)]}
        for kind, buffers in (kinds | {"repacked": self._extra}).items():
            for buffer in buffers:
                held = self._matrices(qtype, blocks, count, buffer, stack)
                if held:
                    makers[kind] = self._maker(held, blocks, weights, stack)
        return makers

    def _context(self, tensors: int, stack: ExitStack) -> int:
        size = (tensors + 1) * self._call["ggml_tensor_overhead"]() + self._call["ggml_graph_overhead"]()
        context = self._call["ggml_init"](Params(size, None, True))
        stack.callback(self._call["ggml_free"], context)
        return context

    def _allocate(self, context: int, buffer_type: int, stack: ExitStack) -> int:
        buffer = self._call["ggml_backend_alloc_ctx_tensors_from_buft"](context, buffer_type)
        if not buffer:
            raise MemoryError("ggml: no memory")
        stack.callback(self._call["ggml_backend_buffer_free"], buffer)
        return buffer

    def _matrices(
        self, qtype: str, blocks: native.QuantTensor, count: int, buffer: int, stack: ExitStack
    ) -> list[int]:
        """Tensors in a buffer of this kind; none where it has no layout for the type."""
        n, k = blocks.shape
        context = self._context(count, stack)
        make, data = self._call["ggml_new_tensor_2d"], blocks.data
        held = [make(context, TYPES[qtype], k, n) for _ in range(count)]
        self._call["ggml_backend_buffer_set_usage"](self._allocate(context, buffer, stack), OF_WEIGHTS)
        trial = self._context(2, stack)
        op = self._call["ggml_mul_mat"](trial, held[0], make(trial, FLOAT32, k, 1))
        if not self._call["ggml_backend_supports_op"](self._backend, op):
            return []
        for tensor in held:
            self._call["ggml_backend_tensor_set"](tensor, data.ctypes.data, 0, data.nbytes)
        return held

    def _maker(self, held: list, blocks: native.QuantTensor, weights: Weights, stack: ExitStack) -> Maker:
        def turn(x: np.ndarray) -> Turn:
            matrices = held * weights.repeats(len(x))
            graph, last = self._graph(matrices, x, blocks.shape, stack)
            compute = self._call["ggml_backend_graph_compute"]

            def run() -> None:
                if self._pool:
                    self._use_pool(self._backend, self._pool)
                if compute(self._backend, graph):
                    raise ChronosError("ggml could not compute a product", got=blocks)

            def result() -> np.ndarray:
                y = np.empty((len(x), blocks.shape[0]), np.float32)
                self._call["ggml_backend_tensor_get"](last, y.ctypes.data, 0, y.nbytes)
                return y

            return Turn(run, len(matrices), blocks.nbytes, result, self._sleep)

        return turn

    def _graph(
        self, matrices: list[int], x: np.ndarray, shape: tuple[int, int], stack: ExitStack
    ) -> tuple[int, int]:
        """One graph of all products with x, as a model's would be, and the last of its results."""
        context = self._context(len(matrices) + 1, stack)
        given = self._call["ggml_new_tensor_2d"](context, FLOAT32, shape[1], len(x))
        products = [self._call["ggml_mul_mat"](context, w, given) for w in matrices]
        graph = self._call["ggml_new_graph"](context)
        for product in products:
            self._call["ggml_build_forward_expand"](graph, product)
        self._allocate(context, self._call["ggml_backend_get_default_buffer_type"](self._backend), stack)
        self._call["ggml_backend_tensor_set"](given, x.ctypes.data, 0, x.nbytes)
        return graph, products[-1]


def _functions(place: Path) -> dict[str, Any]:
    """ggml's functions by name, and as "library" the last of its files."""
    files = [file for name in LIBRARIES if (file := library(place, name))]
    try:
        loaded = [ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL) for file in files]
        found: dict[str, Any] = {"library": loaded[0]}
        for name, (result, *arguments) in PROTOTYPES.items():
            function = next(lib[name] for lib in loaded if hasattr(lib, name))
            function.restype, function.argtypes = result, arguments
            found[name] = function
    except (OSError, StopIteration) as error:
        raise ChronosError(f"this libggml cannot be used ({error or name})", where=place) from None
    found["ggml_log_set"](LOG, None)
    return found


def _until_null(pointers: Any) -> list[int]:
    found = []
    while pointers and pointers[len(found)]:
        found.append(pointers[len(found)])
    return found
