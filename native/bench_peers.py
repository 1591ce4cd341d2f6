"""Who takes part in bench_native.py: our packed products and the hardware's limits, NumPy, PyTorch.

Each holds a matrix in its own form, then makes turns out of inputs; bench_ggml.py adds ggml. Nothing is timed
here. What is not installed is left out with one line, or refused where it was asked for by name.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from chronos import native
from chronos.console import ChronosError
from chronos.native import compiled

REPEATS = 16  # products of small matrices a turn's call, so that no call is timed instead
SMALL = 1 << 23  # multiply-adds


@dataclass(frozen=True)
class Weights:
    """w (N, K) float32, to be held as `qtype`; with `spread` bytes as often as it takes to fill these."""

    qtype: str
    w: np.ndarray
    spread: int = 0

    @cached_property
    def blocks(self) -> native.QuantTensor:
        """The weights in blocks of `qtype`."""
        return native.quantize(self.w, self.qtype)

    def copies(self, nbytes: int) -> int:
        """How often weights of so many bytes are held."""
        return max(1, -(-self.spread // nbytes))

    def repeats(self, rows: int) -> int:
        """How often a call multiplies x of so many rows by each copy."""
        return REPEATS if not self.spread and rows * self.w.size < SMALL else 1


@dataclass(frozen=True)
class Turn:
    """`run()` does `products` products with weights of `nbytes` each; `result()` is the last y (B, N)."""

    run: Callable[[], Any]
    products: float
    nbytes: int
    result: Callable[[], np.ndarray] | None = None
    rest: Callable[[], Any] | None = None  # puts its threads to sleep


Maker = Callable[[np.ndarray], Turn | None]  # of x (B, K)


class Peer(Protocol):
    """One that multiplies: `hold` returns makers by the name of what it holds, freed by the stack."""

    name: str
    about: str

    def set_threads(self, count: int) -> None: ...

    def hold(self, weights: Weights, stack: ExitStack) -> dict[str, Maker]: ...


class Ours:
    """native.pack's panels, and beside them the limit: what no product with these panels can beat.

    One row of x goes by a plan, as in decoding, more rows by a call each; INT4 has ours of Q4_0 beside it.
    """

    name, about = "ours", ""

    def set_threads(self, count: int) -> None:
        native.set_threads(count)

    def hold(self, weights: Weights, stack: ExitStack) -> dict[str, Maker]:
        held = {"ours": weights.blocks}
        if weights.qtype == "INT4" and not weights.spread:
            held["Q4_0"] = native.quantize(weights.w, "Q4_0")
        panels = {
            name: [native.pack(blocks) for _ in range(weights.copies(blocks.nbytes))]
            for name, blocks in held.items()
        }
        makers = {name: _maker_of(packed, weights) for name, packed in panels.items()}
        return makers | {"limit": _limit_of(panels["ours"], weights)}


def _maker_of(panels: list[native.PackedTensor], weights: Weights) -> Maker:
    def turn(x: np.ndarray) -> Turn:
        y, again = np.zeros((len(x), len(weights.w)), np.float32), panels * weights.repeats(len(x))
        run = (decoding if len(x) == 1 else calls)(x, again, y)
        return Turn(run, len(again), panels[0].nbytes, lambda: y)

    return turn


def _limit_of(panels: list[native.PackedTensor], weights: Weights) -> Maker:
    """Turns that read the panels, for one row of x; for more, that multiply and add in registers."""
    kind = "float32" if weights.qtype == "F16" else "int8"
    if weights.qtype == "BF16":
        kind = "bf16" if compiled.peak("bf16", 1) else "float32"
    rounds, nbytes, times = 500_000, panels[0].nbytes, weights.repeats(1)

    def turn(x: np.ndarray) -> Turn | None:
        if len(x) == 1:
            reading = lambda: [compiled.read(p.panels, times) for p in panels]  # noqa: E731
            return Turn(reading, len(panels) * times, nbytes)
        done = compiled.peak(kind, rounds) / (2 * len(x) * weights.w.size)
        return Turn(lambda: compiled.peak(kind, rounds), done, nbytes) if done else None

    return turn


def decoding(x: np.ndarray, panels: list[native.PackedTensor], y: np.ndarray) -> Callable[[], None]:
    """All products in one call, as a decode step has them: x (1, K), y (1, N)."""
    plan = native.Plan()
    for packed in panels:
        plan.linear(packed, x[0], y[0])
    return lambda: plan.run(0, 0)


def calls(x: np.ndarray, panels: list[native.PackedTensor], y: np.ndarray) -> Callable[[], None]:
    """The C function behind `native.matmul`, which would make a new y (B, N) at each call."""
    multiply, (n, k), number = compiled.lib.chronos_matmul_packed, panels[0].shape, panels[0].type
    out, xs = compiled.ffi.from_buffer("float[]", y), compiled.ffi.from_buffer("float[]", x)
    pointers = [compiled.ffi.from_buffer("uint8_t[]", p.panels) for p in panels]
    qtype, rows = compiled.TYPE_NUMBERS[number], len(x)

    def run() -> None:
        for pointer in pointers:
            multiply(qtype, pointer, n, k, xs, rows, out)

    return run


class Numpy:
    """The product of float32 matrices, by BLAS: what one has without quantizing."""

    name, about = "numpy", f"NumPy {np.__version__}, float32"

    def __init__(self) -> None:
        self._limits: Any = None

    def set_threads(self, count: int) -> None:
        self._limits = threadpool_limits(count, "blas")

    def hold(self, weights: Weights, stack: ExitStack) -> dict[str, Maker]:
        held = [weights.w.copy() for _ in range(weights.copies(weights.w.nbytes))]

        def turn(x: np.ndarray) -> Turn:
            y = np.empty((len(x), len(weights.w)), np.float32)
            run = lambda: [np.matmul(x, w.T, out=y) for w in held]  # noqa: E731
            return Turn(run, len(held), weights.w.nbytes, lambda: y)

        return {"numpy": turn}


class Torch:
    """PyTorch's products of the nearest kind: bf16 and half, int8 with a scale a row, int4 by groups of 32.

    x is rounded to bf16 or half before the clock starts, where the product wants that.
    """

    name = "torch"

    def __init__(self) -> None:
        import torch

        self._torch, self.about = torch, f"PyTorch {torch.__version__}"

    def set_threads(self, count: int) -> None:
        self._torch.set_num_threads(count)

    def hold(self, weights: Weights, stack: ExitStack) -> dict[str, Maker]:
        torch, qtype = self._torch, weights.qtype
        kind = {"F16": torch.float16, "BF16": torch.bfloat16}.get(qtype)
        if kind:
            return {str(kind).removeprefix("torch."): self._floats(weights, kind)}
        if qtype == "Q8_0":
            return {"int8": self._int8(weights)}
        return {"int4": self._int4(weights)} if qtype in ("Q4_0", "INT4") else {}

    def _maker(self, weights: Weights, make: Callable, kind: Any, nbytes: int, multiply: Callable) -> Maker:
        held = [make() for _ in range(weights.copies(nbytes))]

        def turn(x: np.ndarray) -> Turn:
            given = self._torch.from_numpy(x).to(kind)

            def run() -> None:
                with self._torch.inference_mode():
                    for w in held:
                        multiply(given, w)

            result = lambda: multiply(given, held[0]).float().numpy()  # noqa: E731
            return Turn(run, len(held), nbytes, result)

        return turn

    def _floats(self, weights: Weights, kind: Any) -> Maker:
        w = self._torch.from_numpy(weights.w).to(kind)
        return self._maker(weights, w.clone, kind, 2 * weights.w.size, self._torch.nn.functional.linear)

    def _int8(self, weights: Weights) -> Maker:
        import warnings

        torch, w = self._torch, self._torch.from_numpy(weights.w)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that PyTorch will do it otherwise one day
            scale, zero = w.abs().amax(1) / 127, torch.zeros(len(w), dtype=torch.long)
            rounded = torch.quantize_per_channel(w, scale, zero, 0, torch.qint8)
        pack, multiply = torch.ops.quantized.linear_prepack, torch.ops.quantized.linear_dynamic
        return self._maker(weights, lambda: pack(rounded, None), torch.float32, weights.w.size, multiply)

    def _int4(self, weights: Weights) -> Maker:
        torch, group, (n, k) = self._torch, 32, weights.w.shape
        w = torch.from_numpy(weights.w).view(n, k // group, group)
        scale = w.abs().amax(2) / 7
        codes = ((w / scale[..., None]).round() + 8).clamp(0, 15).to(torch.int32).view(n, k)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 2)
        scales = torch.stack([scale.T, torch.zeros_like(scale.T)], 2).contiguous().bfloat16()
        product = torch.ops.aten._weight_int4pack_mm_for_cpu
        nbytes = n * k // 2 + scales.numel() * 2
        return self._maker(
            weights, packed.clone, torch.bfloat16, nbytes, lambda x, w: product(x, w, group, scales)
        )


def found(makers: dict[str, Callable[[], Peer | None]], wanted: str | None) -> tuple[list[Peer], list[str]]:
    """The peers that are installed, or the one asked for by name, and what is to be told of the others.

    A maker returns None or raises ModuleNotFoundError where its peer is not installed. ChronosError for an
    unknown name, or where the one asked for is not there.
    """
    if wanted is not None and wanted not in makers:
        expected = " or ".join(makers)
        raise ChronosError("unknown peer", where="bench native", expected=expected, got=repr(wanted))
    peers, missing = [], []
    for name, make in makers.items():
        if wanted not in (None, name):
            continue
        try:
            peer = make()
        except ModuleNotFoundError:
            peer = None
        if peer:
            peers.append(peer)
        else:
            missing.append(name)
    if wanted and missing:
        raise ChronosError(f"{wanted} is not installed", where="bench native", mend=MENDS[wanted])
    return peers, [f"without {name}: {MENDS[name]}" for name in missing]


MENDS = {
    "ggml": "install llama-cpp-python, or name a folder with libggml by --ggml or CHRONOS_GGML",
    "torch": "install torch to compare with it",
    "numpy": "install numpy",
}
