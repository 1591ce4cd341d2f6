"""The k best keys are those of a full sort, ties and filters included, on every engine and number of threads.

The same tests run on the plain twin and on each ISA of the C kernels.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos import native
from chronos.console import ChronosError
from chronos.native import scan_plain

pytestmark = pytest.mark.usefixtures("engine")


def sorted_out(scores: np.ndarray, passing: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """ids and scores of the k best by a full sort of scores (Q, N), the slow way."""
    ids, best = np.full((len(scores), k), -1, np.int64), np.zeros((len(scores), k), scores.dtype)
    for row, values in enumerate(scores):
        there = [i for i in range(len(values)) if passing[i] and values[i] == values[i]]
        there = sorted(there, key=lambda i: (-float(values[i]), i))[:k]
        ids[row, : len(there)], best[row, : len(there)] = there, values[there]
    return ids, best


def products(keys: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return queries.astype(np.int32) @ keys.astype(np.int32).T


def as_bf16(x: np.ndarray) -> np.ndarray:
    return (scan_plain.rounded_to_bf16(x).view(np.uint32) >> 16).astype(np.uint16)


def assert_same(found, expected) -> None:
    assert [a.dtype for a in found] == [a.dtype for a in expected]
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


cases = st.tuples(
    st.sampled_from([0, 1, 2, 15, 16, 17, 31, 255, 256, 257, 700]),
    st.sampled_from([1, 3, 15, 16, 17, 63, 64, 65, 130]),
    st.integers(0, 4),
    st.sampled_from([0, 1, 2, 7, 40]),
    st.sampled_from([2, 128]),  # few different numbers: many ties
    st.integers(0, 2**32),
)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_int8_equals_a_full_sort(case):
    n, d, q, k, most, seed = case
    rng = np.random.default_rng(seed)
    keys, queries = (rng.integers(-most, most, (rows, d)).astype(np.int8) for rows in (n, q))
    expected = sorted_out(products(keys, queries), np.ones(n), k)
    assert_same(native.top_k(keys, queries, k), expected)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_filters_and_scales_equal_a_full_sort(case):
    n, d, q, k, most, seed = case
    rng = np.random.default_rng(seed)
    keys, queries = (rng.integers(-most, most, (rows, d)).astype(np.int8) for rows in (n, q))
    scales = rng.choice(np.array([0.5, -1.5, 0.0, np.nan, np.inf, 1e-3], np.float32), n)
    allowed, sources = rng.integers(0, 3, n).astype(np.uint8), rng.integers(0, 5, n).astype(np.uint8)
    times = rng.integers(-50, 50, n)
    passing = (allowed > 0) & (times >= -30) & (times < 20) & np.isin(sources, [1, 4])
    with np.errstate(invalid="ignore"):
        expected = sorted_out(products(keys, queries).astype(np.float32) * scales, passing, k)
    columns = {"allowed": allowed, "times": times, "since": -30, "until": 20, "sources": sources}
    assert_same(native.top_k(keys, queries, k, scales=scales, wanted=[1, 4], **columns), expected)


@settings(max_examples=30, deadline=None)
@given(cases)
def test_bfloat16_equals_its_plain_twin_to_the_bit_and_float64_nearly(case):
    n, d, q, k, _, seed = case
    rng = np.random.default_rng(seed)
    keys, queries = rng.standard_normal((n, d)).astype(np.float32), rng.standard_normal((q, d), np.float32)
    bits = as_bf16(keys)
    rounded = scan_plain.rounded_to_bf16(queries)
    scores = scan_plain.bf16_products(rounded, bits)
    assert_same(native.top_k(bits, queries, k), sorted_out(scores, np.ones(n), k))
    wide = [a.astype(np.float64) for a in (rounded, (bits.astype(np.uint32) << 16).view(np.float32))]
    magnitude = np.abs(wide[0]) @ np.abs(wide[1]).T
    assert (np.abs(scores - wide[0] @ wide[1].T) <= 2.0**-20 * magnitude).all()


def test_any_bits_of_bfloat16_are_ordered_and_nan_is_never_given():
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 1 << 16, (600, 5)).astype(np.uint16)
    keys[::7, 0] = 0x7FC0
    queries = rng.standard_normal((3, 5), np.float32)
    scores = scan_plain.bf16_products(scan_plain.rounded_to_bf16(queries), keys)
    assert np.isnan(scores).any()
    assert_same(native.top_k(keys, queries, 600), sorted_out(scores, np.ones(600), 600))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_change_nothing(threads):
    rng = np.random.default_rng(1)
    keys = rng.integers(-3, 3, (70_000, 64), np.int8)  # several tasks, ties everywhere
    queries = rng.integers(-3, 3, (2, 64), np.int8)
    native.set_threads(threads)
    scores = products(keys, queries)
    order = [np.lexsort((np.arange(len(keys)), -row))[:32] for row in scores]
    expected = np.array(order), np.take_along_axis(scores, np.array(order), axis=1)
    assert_same(native.top_k(keys, queries, 32), expected)


def test_more_queries_than_are_answered_at_once():
    rng = np.random.default_rng(2)
    keys, queries = rng.integers(-9, 9, (100, 20), np.int8), rng.integers(-9, 9, (70, 20), np.int8)
    assert_same(native.top_k(keys, queries, 3), sorted_out(products(keys, queries), np.ones(100), 3))


def test_records_in_a_mapped_file_are_read_where_they_lie(tmp_path):
    rng = np.random.default_rng(3)
    kind = np.dtype([("time", "<i8"), ("source", "u1"), ("scale", "<f4"), ("key", np.int8, (33,))])
    made = np.zeros(500, kind)  # 46 bytes each: nothing is aligned
    made["time"], made["source"] = rng.integers(0, 9, 500), rng.integers(0, 3, 500)
    made["scale"], made["key"] = rng.random(500), rng.integers(-128, 128, (500, 33))
    made.tofile(tmp_path / "events")
    events = np.memmap(tmp_path / "events", kind, "r")
    queries = rng.integers(-128, 128, (2, 33), np.int8)
    passing = (made["time"] < 5) & (made["source"] == 2)
    scores = products(made["key"], queries).astype(np.float32) * made["scale"]
    columns = {"scales": events["scale"], "times": events["time"], "until": 5, "sources": events["source"]}
    found = native.top_k(events["key"], queries, 9, wanted=[2], **columns)
    assert_same(found, sorted_out(scores, passing, 9))


def test_the_largest_products_do_not_overflow():
    keys = np.full((20, 1 << 16), -128, np.int8)
    ids, scores = native.top_k(keys, keys[:1], 2)
    assert ids.tolist() == [[0, 1]] and (scores == 1 << 30).all()


KEYS, QUERY = np.zeros((4, 8), np.int8), np.zeros((1, 8), np.int8)


@pytest.mark.parametrize(
    ("arguments", "columns", "what"),
    [
        ((KEYS.tolist(), QUERY, 1), {}, "matrix"),
        ((KEYS[0], QUERY, 1), {}, "matrix"),
        ((KEYS.astype(np.int16), QUERY, 1), {}, "keys of another type"),
        ((KEYS.astype(">u2"), QUERY, 1), {}, "keys of another type"),
        ((KEYS, QUERY.astype(np.float32), 1), {}, "queries of another type"),
        ((KEYS.astype(np.uint16), QUERY, 1), {}, "queries of another type"),
        ((KEYS, QUERY[:, :7], 1), {}, "width"),
        ((np.zeros((1, (1 << 16) + 1), np.int8),) * 2 + (1,), {}, "width"),
        ((KEYS[:, ::2], QUERY[:, :4], 1), {}, "one piece"),
        ((KEYS[::-1], QUERY, 1), {}, "one piece"),
        ((np.broadcast_to(KEYS[:1], (4, 8)), QUERY, 1), {}, "one piece"),
        ((KEYS, QUERY, -1), {}, "whole number"),
        ((KEYS, QUERY, 1.0), {}, "whole number"),
        ((KEYS, QUERY, 1), {"allowed": np.ones(3, np.uint8)}, "allowed"),
        ((KEYS, QUERY, 1), {"allowed": np.ones(4, bool)}, "allowed"),
        ((KEYS, QUERY, 1), {"times": np.zeros(4)}, "times go with"),
        ((KEYS, QUERY, 1), {"since": 3}, "times go with"),
        ((KEYS, QUERY, 1), {"times": np.zeros(4), "since": 3}, "times do not fit"),
        ((KEYS, QUERY, 1), {"times": np.zeros(4, np.int64), "until": 1 << 63}, "64 bits"),
        ((KEYS, QUERY, 1), {"sources": np.zeros(4, np.uint8)}, "sources go with"),
        ((KEYS, QUERY, 1), {"sources": np.zeros(4, np.uint8), "wanted": [256]}, "0 to 255"),
        ((KEYS.astype(np.uint16), np.zeros((1, 8), np.float32), 1), {"scales": np.ones(4, "f4")}, "scales"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments, columns, what):
    with pytest.raises(ChronosError, match=what) as error:
        native.top_k(*arguments, **columns)
    assert "\n" not in str(error.value)


def test_reversed_columns_and_one_strided_key_are_copied():
    keys = np.arange(8, dtype=np.int8).reshape(4, 2)
    ids, _ = native.top_k(keys, np.ones((1, 2), np.int8), 4, allowed=np.array([0, 1, 1, 1], np.uint8)[::-1])
    assert ids.tolist() == [[2, 1, 0, -1]]
    assert native.top_k(keys[:1, ::-1], np.array([[1, 2]], np.int8), 1)[1] == 1
