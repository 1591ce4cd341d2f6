"""The types of quantized weights, and what holds them: `QuantTensor` as in files, `PackedTensor` for speed.

No arithmetic: that is plain.py and, faster, the C files. Nothing here knows which of them runs.
"""

from dataclasses import dataclass

import numpy as np

from chronos.console import ChronosError

MOST = 1 << 31  # rows and columns, even of matrices without a number in them
BLOCK = 32  # weights that share a scale in Q4_0 and Q8_0, and the step of all other rows
INT4 = ("INT4_32", "INT4_64", "INT4_128")  # by weights that share a scale
FORMATS = {  # weights and bytes of a block; drawn in chronos_native.h and products.h
    "Q4_0": (32, 18),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "INT4_32": (32, 18),
    "INT4_64": (64, 34),
    "INT4_128": (128, 66),
    "F16": (1, 2),
    "BF16": (1, 2),
}


def check_type(qtype: str, where: str) -> None:
    """Refuse a type that is not here."""
    if not isinstance(qtype, str) or qtype not in FORMATS:
        raise ChronosError(
            "unknown quantized type", where=where, expected=" or ".join(FORMATS), got=repr(qtype)
        )


def filled(qtype: str, k: int) -> int:
    """K rounded up to whole blocks: what the blocks of a row hold."""
    weights = FORMATS[qtype][0]
    return -(-k // weights) * weights


def check_size(shape: tuple[int, ...], where: str) -> None:
    """Refuse sizes that C does not count with; only a matrix without a number in it comes so far."""
    if max(shape) >= MOST:
        got = f"shape {shape}"
        raise ChronosError("a matrix too large", where=where, expected="sizes below 2^31", got=got)


def checked_shape(qtype: str, shape: object, where: str) -> tuple[int, int]:
    """(N, K) as plain integers that this type can have."""
    check_type(qtype, where)
    axes = tuple(shape) if isinstance(shape, tuple | list) else ()
    if len(axes) != 2 or not all(isinstance(n, int | np.integer) and n >= 0 for n in axes):
        raise ChronosError("shape must be (N, K)", where=where, got=repr(shape))
    return int(axes[0]), int(axes[1])


def data_bytes(qtype: str, shape: tuple[int, int]) -> int:
    """The bytes that a matrix (N, K) takes."""
    weights, size = FORMATS[qtype]
    return shape[0] * (filled(qtype, shape[1]) // weights) * size


@dataclass(frozen=True, eq=False)
class QuantTensor:
    """A matrix (N, K) of quantized weights: N rows of blocks in llama.cpp's order. Read-only.

    `type` is one of FORMATS, `shape` is (N, K), and `data` is a contiguous, read-only uint8 array (nbytes,)
    that the tensor keeps alive. Raises ChronosError when they do not agree.

    K is any number: zeros fill up the last block of each row when it is made, x counts as zero there, and no
    result shows it. A GGUF file cannot say so, and takes whole blocks alone.
    """

    type: str
    shape: tuple[int, int]
    data: np.ndarray

    def __post_init__(self) -> None:
        where = "QuantTensor"
        shape = checked_shape(self.type, self.shape, where)
        object.__setattr__(self, "shape", shape)
        data, size = self.data, data_bytes(self.type, shape)
        if (
            not isinstance(data, np.ndarray)
            or data.dtype != np.uint8
            or data.ndim != 1
            or data.flags.writeable
        ):
            raise ChronosError(
                "data must be a read-only uint8 array (nbytes,)", where=where, mend="use frombytes"
            )
        if data.nbytes != size or not data.flags.c_contiguous:
            got = f"{data.nbytes:,}"
            raise ChronosError(
                f"wrong number of bytes for {self.type} {shape}", where=where, expected=f"{size:,}", got=got
            )
        check_size(shape, where)
        object.__setattr__(self, "data", np.asarray(data))  # of a memmap or a masked array what it lies on

    @classmethod
    def frombytes(cls, qtype: str, shape: tuple[int, int], data) -> "QuantTensor":
        """The tensor (N, K) whose blocks are `data`: bytes, or any other contiguous buffer.

        What is read-only (bytes, a file mapped for reading) is kept by reference; what is writable is copied,
        so that a QuantTensor never changes. Scales and codes are taken as they are.
        """
        try:
            array = np.frombuffer(data, dtype=np.uint8)
        except (TypeError, ValueError, BufferError) as error:
            if not hasattr(data, "__len__") or len(data):  # NumPy refuses an empty buffer, which N = 0 has
                raise ChronosError(
                    f"data is not a contiguous buffer ({error})", where="QuantTensor"
                ) from None
            array = np.empty(0, np.uint8)
        if array.flags.writeable:
            array = array.copy()
            array.flags.writeable = False
        return cls(qtype, shape, array)

    def tobytes(self) -> bytes:
        """The blocks in llama.cpp's order, as a GGUF file holds them."""
        return self.data.tobytes()

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks."""
        return self.data.nbytes

    def __repr__(self) -> str:
        return f"QuantTensor({self.type}, {self.shape[0]} x {self.shape[1]}, {self.nbytes:,} bytes)"


class PackedTensor(QuantTensor):
    """The same matrix with 16 rows side by side, as the kernels of products read it fastest (products.h).

    Made by `native.pack`, once, when weights are loaded. It stands wherever a QuantTensor does: `type`,
    `shape`, `nbytes` and `tobytes()` are those of the blocks, but `data` and `tobytes()` put them back in
    order at each call. `panels` is a read-only uint8 array that begins on a cache line and is owned by this.
    """

    def __init__(self, qtype: str, shape: tuple[int, int], panels: np.ndarray, unpack) -> None:
        from chronos.native.panels import panel_bytes  # which imports this file

        shape, right = checked_shape(qtype, shape, "PackedTensor"), isinstance(panels, np.ndarray)
        right = right and panels.dtype == np.uint8 and panels.ndim == 1 and panels.flags.c_contiguous
        if not right or panels.flags.writeable or panels.size != panel_bytes(qtype, shape):
            raise ChronosError(
                "no panels of this type and shape", where="PackedTensor", mend="use native.pack"
            )
        check_size(shape, "PackedTensor")
        panels = np.asarray(panels)
        for name, value in (("type", qtype), ("shape", shape), ("panels", panels), ("_unpack", unpack)):
            object.__setattr__(self, name, value)

    @property
    def data(self) -> np.ndarray:
        """The blocks (nbytes,) uint8, in a new array."""
        data = self._unpack(self, np.arange(self.shape[0]))
        data.flags.writeable = False
        return data

    @property
    def nbytes(self) -> int:
        """Bytes of the blocks; the panels have up to 15 rows of zeros more."""
        return data_bytes(self.type, self.shape)

    def __repr__(self) -> str:
        return f"PackedTensor({self.type}, {self.shape[0]} x {self.shape[1]}, {self.nbytes:,} bytes)"
