"""What a memory did with each event of a life, in words: surprise, written or not, and why.

What was written is read back from the store by its times; why, the model's own gate is asked again. It writes
nothing and decides nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chronos.data.lives import Event
from chronos.evaluation.live.told import Told
from chronos.memory.episodes.layout import surprises_of
from chronos.memory.episodes.reader import StoreReader
from chronos.memory.recall import Recaller
from chronos.memory.recall.gate import Costs, novelty

UNGATED = "always (no gate)"


def taken(recaller: Recaller, store: StoreReader, told: Told) -> Iterator[dict[str, Any]]:
    """The rows of a life's events (`rows.Taken`), as this store took them."""
    events = list(told.events())
    surprises, written = np.full(len(events), np.nan), np.zeros(len(events), bool)
    places = np.array([told.place(int(time)) - 1 for time in store.times], np.int64)
    written[places] = True
    surprises[places] = surprises_of(store.records["packed"])
    whys = [UNGATED] * len(events)
    if recaller.net.config.gate:
        _, said = recaller.said([event.text for event in events])
        nats, like = novelty(said)
        surprises = np.where(written, surprises, nats)
        whys = list(_told(recaller, events, like, _new_words(said, written, like)))
    for n, event in enumerate(events):
        row = {"n": n + 1, "t": event.t, "date": event.date, "text": event.text}
        surprise = None if np.isnan(surprises[n]) else round(float(surprises[n]), 3)
        yield {**row, "surprise": surprise, "written": bool(written[n]), "why": whys[n]}


def _new_words(said: Costs, written: np.ndarray, like: np.ndarray) -> dict[int, list[int]]:
    """Of each written event the words that the newest one about the same had not said."""
    found = {}
    for i in np.flatnonzero(written):
        known = set(said.words[like[i]].tolist()) if like[i] >= 0 else set()
        found[int(i)] = [word for word in said.words[i][said.nats[i] > 0].tolist() if word not in known]
    return found


def _told(
    recaller: Recaller, events: Sequence[Event], like: np.ndarray, new: dict[int, list[int]]
) -> Iterator[str]:
    """Why each event was written or not; `new` has the words of those that were."""
    for n, event in enumerate(events):
        if n in new:
            spelled = recaller.tokenizer.unknown([event.text])
            words = [recaller.tokenizer.decode([word], spelled) for word in dict.fromkeys(new[n])]
            yield f"new: {', '.join(words)}" if words else "new"
        else:
            yield f"nothing new: said at step {events[like[n]].t}" if like[n] >= 0 else "nothing new"
