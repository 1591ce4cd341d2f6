"""The k best of many keys: `top_k` of int8 or bfloat16 keys against queries, filtered, scores never stored.

Everything that enters C is checked here; without the C library scan_plain.py answers, to the same bits. Keys
may lie in a mapped file, a row in each record. It is exact: no index, no approximation.

    ids, scores = native.top_k(keys, queries, 32)    # keys (N, D), queries (Q, D) int8 → (Q, 32) each
"""

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from chronos.console import ChronosError
from chronos.native import scan_plain

MOST_KEYS, MOST_WIDTH = 1 << 40, 1 << 16  # of keys without a number there could be more than memory holds
MOST_RESULTS = 1 << 31
FIRST, LAST = -(1 << 63), (1 << 63) - 1  # of int64 times


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """A checked search; see `top_k`. Columns are (N,) arrays of any stride, or None."""

    keys: np.ndarray
    queries: np.ndarray
    k: int
    scales: np.ndarray | None
    allowed: np.ndarray | None
    times: np.ndarray | None
    sources: np.ndarray | None
    since: int
    until: int
    wanted: np.ndarray | None

    @property
    def integers(self) -> bool:
        """Whether scores are whole numbers."""
        return self.keys.dtype == np.int8 and self.scales is None


def top_k(
    keys: np.ndarray, queries: np.ndarray, k: int, *, scales: np.ndarray | None = None,
    allowed: np.ndarray | None = None, times: np.ndarray | None = None, since: int | None = None,
    until: int | None = None, sources: np.ndarray | None = None, wanted: Iterable[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The k best keys of each query: ids (Q, k) int64, scores (Q, k), best first, of equal ones the lower id.

    int8 keys (N, D) take int8 queries (Q, D): the score is their product, int32, or with scales (N,) float32
    float32(product) · scale. uint16 keys are bits of bfloat16 and take float32 queries, which are rounded
    to bfloat16; scan.h says in which order float32 sums are taken. A score that is NaN is never given. Where
    fewer keys pass, ids are −1 and scores 0.

    A key passes if allowed (N,) uint8 is not 0, since ≤ times (N,) int64 < until, and sources (N,) uint8 is
    one of `wanted`. Keys and columns are read where they lie, with any distance between rows (a field of
    records, a mapped file); the numbers of a key must lie side by side. The number of threads changes no
    result. Raises ChronosError for types and shapes that do not fit.
    """
    keys, queries = _matrices(keys, queries)
    n = len(keys)
    if n > MOST_KEYS:
        raise ChronosError("too many keys", where="top_k", expected=f"at most {MOST_KEYS}", got=n)
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 0 <= k < MOST_RESULTS:
        raise ChronosError("k must be a whole number from 0 to 2^31 - 1", where="top_k", got=repr(k))
    if scales is not None and keys.dtype != np.int8:
        raise ChronosError("only int8 keys have scales", where="top_k")
    if (times is None) != (since is None and until is None):
        raise ChronosError("times go with since or until", where="top_k")
    if (sources is None) != (wanted is None):
        raise ChronosError("sources go with the wanted ones", where="top_k")
    search = Search(
        keys, queries, min(int(k), n), _column(scales, "scales", np.float32, n),
        _column(allowed, "allowed", np.uint8, n), _column(times, "times", np.int64, n),
        _column(sources, "sources", np.uint8, n), _time(since, FIRST), _time(until, LAST), _wanted(wanted),
    )  # fmt: skip
    ids = np.full((len(queries), int(k)), -1, np.int64)
    scores = np.zeros(ids.shape, np.int32 if search.integers else np.float32)
    if search.k and len(queries):
        ids[:, : search.k], scores[:, : search.k] = _engine()(search)
    return ids, scores


def _engine():
    from chronos import native  # which imports this file

    return compiled if native.available() else scan_plain.best


def compiled(search: Search) -> tuple[np.ndarray, np.ndarray]:
    """ids and scores (Q, k) by the C kernels. The interpreter runs on meanwhile."""
    from chronos.native import compiled as kernels

    ffi, (n, width), q = kernels.ffi, search.keys.shape, len(search.queries)
    ids = np.empty((q, search.k), np.int64)
    scores = np.empty(ids.shape, np.int32 if search.integers else np.float32)
    wanted = ffi.NULL if search.wanted is None else ffi.from_buffer("uint8_t[]", search.wanted)
    queries = ffi.from_buffer(search.queries)
    given = {name: _place(ffi, getattr(search, name)) for name in ("scales", "allowed", "times", "sources")}
    made = ffi.new(
        "chronos_search *",
        {
            **given, "keys": _place(ffi, search.keys), "n": n, "width": width, "q": q, "k": search.k,
            "bf16": search.keys.dtype == np.uint16, "queries": queries, "wanted": wanted,
            "since": search.since, "until": search.until,
        },
    )  # fmt: skip
    done = kernels.lib.chronos_scan(made, ffi.from_buffer("int64_t[]", ids), ffi.from_buffer(scores))
    if done:
        raise MemoryError("native: no memory for a search")
    return ids, scores


def _place(ffi: ModuleType, column: np.ndarray | None) -> dict:
    if column is None:
        return {"at": ffi.NULL, "stride": 0}
    return {"at": ffi.cast("uint8_t *", column.ctypes.data), "stride": column.strides[0]}


def _matrices(keys: np.ndarray, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keys as they are, queries contiguous; both looked at."""
    kinds = {"int8": np.int8, "uint16": np.float32}  # of keys: of their queries
    for name, a in (("keys", keys), ("queries", queries)):
        if not isinstance(a, np.ndarray) or a.ndim != 2:
            got = f"shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
            raise ChronosError(f"{name} must be a matrix of NumPy", where="top_k", got=got)
    if keys.dtype.name not in kinds or not keys.dtype.isnative:
        expected = "int8, or uint16 as the bits of bfloat16"
        raise ChronosError("keys of another type", where="top_k", expected=expected, got=keys.dtype)
    if queries.dtype != kinds[keys.dtype.name]:
        expected = f"{np.dtype(kinds[keys.dtype.name])} for keys of {keys.dtype}"
        raise ChronosError("queries of another type", where="top_k", expected=expected, got=queries.dtype)
    if queries.shape[1] != keys.shape[1] or keys.shape[1] > MOST_WIDTH:
        expected = f"(Q, {keys.shape[1]}), at most {MOST_WIDTH} wide"
        got = queries.shape
        raise ChronosError("keys and queries differ in width", where="top_k", expected=expected, got=got)
    size = keys.shape[1] * keys.itemsize
    side_by_side = keys.shape[1] < 2 or keys.strides[1] == keys.itemsize
    if len(keys) > 1 and not (side_by_side and keys.strides[0] >= size):
        mend = "pass np.ascontiguousarray(keys)"
        raise ChronosError("a key must lie in one piece, and after the last", where="top_k", mend=mend)
    if not side_by_side or keys.strides[0] < 0:
        keys = np.ascontiguousarray(keys)
    return keys, np.ascontiguousarray(queries)


def _column(a: np.ndarray | None, name: str, dtype: type, n: int) -> np.ndarray | None:
    if a is None:
        return None
    if not isinstance(a, np.ndarray) or a.dtype != dtype or a.shape != (n,):
        got = f"{a.dtype} {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
        expected = f"{np.dtype(dtype)} ({n},)"
        raise ChronosError(f"{name} do not fit the keys", where="top_k", expected=expected, got=got)
    return a if not a.size or a.strides[0] >= 0 else np.ascontiguousarray(a)


def _time(at: int | None, otherwise: int) -> int:
    if at is None:
        return otherwise
    if not isinstance(at, int | np.integer) or isinstance(at, bool) or not FIRST <= at <= LAST:
        raise ChronosError("a time must be a whole number of 64 bits", where="top_k", got=repr(at))
    return int(at)


def _wanted(sources: Iterable[int] | None) -> np.ndarray | None:
    if sources is None:
        return None
    table = np.zeros(256, np.uint8)
    for source in sources:
        whole = isinstance(source, int | np.integer) and not isinstance(source, bool)
        if not whole or not 0 <= source < 256:  # True would index every row of the table
            raise ChronosError("a source is a number from 0 to 255", where="top_k", got=repr(source))
        table[source] = 1
    return table
