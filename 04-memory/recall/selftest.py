"""What a recall model promises, as a measurement: company, chunks and what comes later change nothing.

Any weights keep these promises, trained or not. `chronos model init` runs it. It leaves nothing behind.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chronos.architecture.tape import no_grad
from chronos.memory.episodes.reader import StoreReader
from chronos.memory.recall.net import RecallNet
from chronos.memory.recall.packing import ragged
from chronos.memory.recall.recaller import Moment, Recaller
from chronos.tokenization.clock import DAY, HOUR
from chronos.tokenization.words import WordTokenizer

TOLERANCE = 1e-4  # float32 rounding of keys and of shares of a stick, which are at most 1
EVENTS, QUESTIONS, NAME = 48, 6, "selftest"


def self_test(net: RecallNet, tokenizer: WordTokenizer, seed: int = 0) -> dict[str, float]:
    """Way of reading → largest absolute difference from the plain one, in keys and in shares of the stick.

    read one by one: events that come alone instead of together; asked one by one: questions likewise; before
    what came later: a memory that has gone on, asked about the time before that.
    """
    words = [word for word in tokenizer.surfaces if word.isalnum()] or ["word"]
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(words, rng.integers(2, 12))) + f" nobody{i}" for i in range(EVENTS)]
    moments = [Moment(DAY + i * HOUR, text) for i, text in enumerate(texts)]
    asked = texts[:: EVENTS // QUESTIONS]  # what is there is surely found
    until = moments[-1].time_us + 1
    later = [Moment(until + i * HOUR, text) for i, text in enumerate(reversed(texts))]
    keys = _keys(net, tokenizer, texts)
    apart = np.concatenate([_keys(net, tokenizer, [text]) for text in texts])
    recaller = Recaller(net, tokenizer, {})
    with tempfile.TemporaryDirectory() as folder, recaller.create_store(Path(folder) / NAME) as store:
        recaller.ingest(store, moments, "told")
        plain = _shares(recaller, store, asked, until)
        alone = np.concatenate([_shares(recaller, store, [text], until) for text in asked])
        recaller.ingest(store, later, "told later")
        grown = _shares(recaller, store, asked, until)[:, :, : plain.shape[2] - 1]
    found = {"read one by one": apart - keys, "asked one by one": alone - plain}
    found |= {"before what came later": grown - plain[:, :, :-1]}
    return {way: float(np.abs(difference).max()) for way, difference in found.items()}


def _keys(net: RecallNet, tokenizer: WordTokenizer, texts: Sequence[str]) -> np.ndarray:
    """(U, K): the keys of some sentences, read together."""
    with no_grad():
        return net.encode(ragged([tokenizer.encode(text) for text in texts]))[1].data


def _shares(recaller: Recaller, store: StoreReader, asked: Sequence[str], until: int) -> np.ndarray:
    """(Q, H, N + 1): what each hop takes of the stick from each event, and what is left."""
    shares = np.zeros((len(asked), recaller.net.config.hops, len(store) + 1))
    for row, answer in zip(shares, recaller.ask(store, asked, until - 1, until=until)):
        for hop, read in zip(row, answer.reads):
            hop[list(read.ids)] = read.weights
            hop[-1] = read.null
    return shares
