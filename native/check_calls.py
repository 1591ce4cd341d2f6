"""The calls that check_faces.py makes: for each public function random arguments, and what should come back.

Each is given a Chance and yields pairs of a result and what it should be: that of the plain twin, of the
portable ISA, or of one thread. No check of its own.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chronos import native
from chronos.native import attend, compiled, fused, gemm_plain, plain, scan_plain
from chronos.native.blocks import FORMATS, QuantTensor
from chronos.native.check_fused import cases as fused_cases
from chronos.native.scan import FIRST, LAST, Search

Pairs = Iterator[tuple[Any, Any]]
f32, WORDS, NONE = np.float32, ("gpt2", "gpt4", "qwen2", "none"), (None, "w", 3, np.zeros((1, 32)))
CLASSES = np.random.default_rng(0).integers(0, 4, 0x110000, np.uint8)
BEST = compiled.info()["isas"]


def tensor(c) -> QuantTensor:
    """Quantized weights, packed or not, made of right things or of bent ones."""
    qtype = c.one_of(sorted(FORMATS))
    unit = FORMATS[qtype][0]
    width = c.size(3) * unit + (c.size() if c.rng.random() < 0.5 else 0)  # the last block may be short
    shape = (c.size(), width)
    data = plain.quantize(qtype, c.rng.standard_normal(shape, f32))
    data.flags.writeable = False
    shape = tuple(c.number(n) for n in shape)
    made = QuantTensor(c.number(qtype, (*FORMATS, "Q9", None, 8)), shape, c.bend(data))
    if c.rng.random() < 0.5:
        made = native.pack(made)
        if c.odds and c.rng.random() < 0.3:
            panels = c.bend(made.panels)
            shape = tuple(c.number(n) for n in made.shape)
            qtype = c.number(made.type, (*FORMATS, "Q9", None))
            c.bent += ["panels"] * (qtype != made.type)  # whose scales may not be those of one group
            made = native.PackedTensor(qtype, shape, panels, unpack)
    return made


def unpack(made: native.PackedTensor, rows: np.ndarray) -> np.ndarray:
    """Its rows' blocks, by the twin."""
    return plain.unpack_rows(made.type, made.panels, made.shape, rows)


def weights(made: QuantTensor) -> np.ndarray:
    """What its blocks stand for."""
    return plain.dequantize(made.type, made.data, made.shape)


def quantize(c) -> Pairs:
    """To blocks."""
    qtype = c.one_of([*sorted(FORMATS), "INT4"])
    unit = FORMATS.get(qtype, (32, 0))[0]
    w = c.floats(c.size(), c.size(3) * unit + c.size())
    made = native.quantize(w, c.number(qtype, ("Q9", None, 8, "F16")))
    yield made.data, plain.quantize(made.type, np.asarray(w, f32))


def blocks(c) -> Pairs:
    """From blocks, all rows and some, to panels and from bytes."""
    made = tensor(c)
    yield native.dequantize(c.number(made, NONE)), weights(made)
    yield native.pack(c.number(made, NONE)).data, made.data
    rows = c.bend(c.rng.integers(0, max(made.shape[0], 1), c.size() if made.shape[0] else 0))
    yield native.dequantize_rows(made, rows), weights(made)[np.asarray(rows, np.intp)]
    data = c.bend(made.data)
    again = QuantTensor.frombytes(made.type, made.shape, data)
    yield again.tobytes(), data.tobytes() if isinstance(data, np.ndarray) else data


def products(c) -> Pairs:
    """By quantized weights, and back."""
    made = tensor(c)
    n, k = made.shape
    x = c.floats(c.size(9), k)
    yield (
        native.matmul(x, c.number(made, NONE)),
        plain.matmul(np.asarray(x, f32), made.type, made.data, made.shape),
    )
    g = c.floats(c.size(9), n)
    yield (
        native.back(g, c.number(made, NONE)),
        plain.back(np.asarray(g, f32), made.type, made.data, made.shape),
    )


def gemm(c) -> Pairs:
    """By float matrices, packed or not, into an array or a new one."""
    kind, (m, n, k) = c.one_of(("f32", "bf16")), (c.size(), c.size(70), c.size(70))
    a, b = c.floats(m, k), c.floats(k, n)
    multiply, pack = getattr(native, f"matmul_{kind}"), getattr(native, f"pack_{kind}")
    given, add = b, bool(c.rng.integers(2))
    if c.rng.random() < 0.5:
        given = pack(b)
        if c.odds and c.rng.random() < 0.3:
            c.bent.append("panels")  # which have any numbers in them
            shape = tuple(c.number(n) for n in given.shape)
            given = native.PackedMatrix(
                c.number(kind, ("f32", "bf16", None)), shape, c.bend(given.units.copy())
            )
    out = c.bend(c.rng.standard_normal((m, n), f32)) if add or c.rng.random() < 0.5 else None
    before = np.array(out) if isinstance(out, np.ndarray) and out.size < 1 << 20 else out
    found = multiply(a, given, out=out, add=add)
    if isinstance(given, native.PackedMatrix) and given.shape != (k, n):  # bent: other sizes of as many units
        return
    expected = np.zeros(found.shape, f32) if before is None else before
    gemm_plain.matmul(kind, np.asarray(a, f32), np.asarray(b, f32), False, expected, add)
    yield found, expected


def top_k(c) -> Pairs:
    """The best of many keys."""
    n, q, d = c.size(600), c.size(40), c.size(80)
    records = np.zeros(
        n, [("key", "u2" if c.rng.random() < 0.5 else "i1", (d,)), ("time", "i8"), ("source", "u1")]
    )
    halves = records["key"].dtype == np.uint16
    numbers = (
        (c.rng.standard_normal((n, d), f32).view(np.uint32) >> 16)
        if halves
        else c.rng.integers(-128, 128, (n, d))
    )
    records["key"], records["time"], records["source"] = (
        numbers,
        c.rng.integers(0, 9, n),
        c.rng.integers(0, 3, n),
    )
    queries = c.rng.standard_normal((q, d), f32) if halves else c.rng.integers(-128, 128, (q, d), np.int8)
    keys, queries, k = (
        c.bend(records["key"]),
        c.bend(queries),
        c.number(c.size(40), (-1, 3.0, True, None, 1 << 60, 1 << 64)),
    )
    more = {}
    if c.rng.random() < 0.5:
        more |= {"times": c.bend(records["time"]), "since": c.number(2), "until": c.number(7)}
    if c.rng.random() < 0.5:
        more |= {"sources": c.bend(records["source"]), "wanted": [c.number(1), c.number(2)]}
    if c.rng.random() < 0.5:
        more["allowed"] = c.bend(c.rng.integers(0, 2, n).astype(np.uint8))
    if not halves and c.rng.random() < 0.5:
        more["scales"] = c.floats(n)
    ids, scores = native.top_k(keys, queries, k, **more)
    table = np.isin(np.arange(256), more["wanted"]).astype(np.uint8) if "wanted" in more else None
    columns = [more.get(name) for name in ("scales", "allowed", "times", "sources")]
    search = Search(
        keys, queries, min(k, n), *columns, more.get("since", FIRST), more.get("until", LAST), table
    )
    best = scan_plain.best(search) if len(keys) and len(queries) and search.k else (ids, scores)
    for found, expected in zip((ids, scores), best):
        yield found[:, : search.k], expected[:, : search.k]


def between(c) -> Pairs:
    """What lies between products, in place and not."""
    made = list(fused_cases(c.rng, c.size(9), 1 + c.size()))
    name, given, results = c.one_of(made)
    given = [c.bend(a) if isinstance(a, np.ndarray) else c.number(a) for a in given]
    before = [a.copy() if isinstance(a, np.ndarray) and not a.strides.count(0) else a for a in given]
    getattr(fused, name)(*given)
    compiled.choose_isa("portable")
    try:
        getattr(fused, name)(*before)
    finally:
        compiled.choose_isa(None)
    yield from ((given[i], before[i]) for i in results)


def attention(c) -> Pairs:
    """A pass of attention, there and back; rounded, ISAs may differ by more than sums do."""
    groups, k, batch, tokens = 1 + c.size(3), 1 + c.size(20), c.size(3), c.size()
    heads = groups * (1 + c.size(2))
    packed, out = (batch, tokens, (heads + 2 * groups) * k), (batch, tokens, heads * k)
    x, grad = c.floats(*packed), c.floats(*out)
    visible = c.bend(c.rng.integers(0, tokens + 1, (batch, tokens)))
    sizes, kind = (c.number(heads), c.number(groups), c.number(0.3)), c.number("f32", ("bf16", "f16", None))
    outs = [c.floats(*out), c.floats(batch, heads, tokens), c.floats(*packed)]
    again = [np.array(a) for a in outs]
    for isa, (o, lse, dx) in ((None, outs), ("portable", again)):
        compiled.choose_isa(isa)
        try:
            attend.attend(x, visible, *sizes, o, lse, kind)
            attend.attend_backward(grad, x, lse, visible, *sizes, dx, kind)
        finally:
            compiled.choose_isa(None)
    if kind == "f32":
        yield from zip(outs, again)


def step_calls(c) -> list[tuple[str, list[Any], list[int]]]:
    """One step of each kind: its name, what it is given, and which of that it writes."""
    h, g, k, d, places, rows = (1 + c.size(n) for n in (3, 2, 20, 40, 9, 9))
    h, picks = h * g, np.zeros(1 + c.size(4), np.int32)
    f = c.floats
    calls = [
        ("rms_norm", [f(rows, d), f(*((rows, d) if c.rng.random() < 0.5 else (d,))), 1e-5, f(rows, d)], [3]),
        ("layer_norm", [f(d), f(d), f(d) if c.rng.random() < 0.5 else None, 1e-5, f(d)], [4]),
        (
            "linear",
            [f(rows, d), f(d), f(rows), f(rows) if c.rng.random() < 0.5 else None, bool(c.size(1))],
            [2],
        ),
        ("embed", [f(rows, d), f(places, d) if c.rng.random() < 0.5 else None, f(d)], [2]),
        ("turns", [c.bend(c.rng.random(k)), f(k), f(k)], [1, 2]),
        ("rotary", [f(h, 2 * k), f(k), f(k)], [0]),
        ("store", [f(d), f(places, d)], [1]),
        ("attend", [f(h, k), f(places, g * k), f(places, g * k), f(h, k), 0.3], [3]),
        ("attend", [f(h, k), f(places, g * k), f(places, g * k), f(h, k), 0.3, c.bend(picks)], [3]),
        ("activation", ["swiglu", f(2 * d), f(d)], [2]),
        ("activation", [c.one_of(("gelu", "relu2")), f(d), f(d)], [2]),
        ("conv", [f(d), f(4, d), f(3, d), f(d)], [2, 3]),
        ("decay", [f(h, k), f(h), f(h, k), f(h, k)], [3]),
        (
            "delta",
            [f(h * (2 * k + d)), c.bend(c.rng.random((h, k), f32)), f(h), 2.0, f(h, d, k), f(h, d)],
            [4, 5],
        ),
        ("gated", [f(h, d), f(h, d), f(d), 1e-5, f(h, d)], [4]),
        ("pick", [f(h, k), f(places, k), f(h), 0.3, c.bend(picks)], []),
    ]
    made = tensor(c)
    if made.data.size and (isinstance(made, native.PackedTensor) or made.type in native.TYPES):
        calls.append(("linear", [made, f(made.shape[1]), f(made.shape[0]), None, bool(c.size(1))], [2]))
        calls.append(("embed", [made, None, f(made.shape[1])], [2]))
    return calls


def steps(c) -> Pairs:
    """A plan of one to three steps, run for a few tokens."""
    found = []
    for isa in ("portable", BEST[-1]):
        c.again()
        calls = step_calls(c)
        plan, written = native.Plan(), []
        for name, given, results in (c.one_of(calls) for _ in range(1 + c.size(2))):
            given = [c.number(a) if isinstance(a, float) else a for a in given]
            getattr(plan, name)(*given)
            written += [given[i] for i in results]
        compiled.choose_isa(isa)
        try:
            for at in range(3):
                c.bent += ["place"] * (at >= plan.room or plan.tokens < 1)
                plan.run(c.number(0), c.number(at))
        finally:
            compiled.choose_isa(None)
        found.append(written)
    yield from zip(*found)


def text_of(c) -> Any:
    """Bytes or a text, or something else."""
    kinds = [
        c.rng.integers(0, 256, c.size(200), np.uint8),
        c.rng.choice(np.frombuffer(b"ab  1\n\xc3\xa9", np.uint8), 50),
    ]
    data = c.one_of(kinds).tobytes()
    return c.number(
        data.decode(errors="replace") if c.rng.random() < 0.5 else data, (*"x\ud800", None, 3, b"", [1])
    )


def tokens(c) -> Pairs:
    """Count, learn and encode, twice."""
    pattern, classes, texts = (
        c.number(c.one_of(WORDS), ("x", None, 2)),
        c.bend(CLASSES),
        [text_of(c) for _ in range(3)],
    )
    counters = [native.WordCounter(pattern, classes) for _ in range(2)]
    for counter in counters:
        for text in texts:
            counter.add(text)
    first, words = (counter.words() for counter in counters)
    yield first.counts, words.counts
    bent = native.Words(c.bend(words.data), c.bend(words.ends), c.bend(words.counts))
    counters[1].merge(bent)
    specials = [text_of(c) for _ in range(c.size(2))]
    base = c.bend(np.arange(256) + len(specials))
    vocab = c.number(len(specials) + 256 + c.size(60))
    merges = native.learn_merges(bent, None, base, specials, vocab)
    encoder = native.BpeEncoder(base, c.bend(merges), pattern, classes)
    for text in texts:
        yield encoder.encode(text, c.number(3)), encoder.encode(text)
    yield encoder.encode_flat(texts, c.number(2))[0], np.concatenate([encoder.encode(t) for t in texts])


def threads(c) -> Pairs:
    """The number of threads."""
    native.set_threads(c.number(1 + c.size(3)))
    yield native.available(), True


CASES: dict[str, Callable] = {
    "attention": attention, "between products": between, "blocks": blocks, "float products": gemm,
    "products": products, "quantize": quantize, "steps": steps, "threads": threads, "tokens": tokens,
    "top_k": top_k,
}  # fmt: skip
SLOW_CASES = {"tokens"}  # which read a table of all characters: less often called
