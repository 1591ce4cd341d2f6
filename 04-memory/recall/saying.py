"""Saying an answer: the likeliest word each time, and what was recalled word for word where that is in doubt.

Words are drafted from the recalled event and checked together, so that most answers take two passes. An
answer of at least half of the probability is the likeliest there is, as all of them share one. Below that the
runs of words in the recalled events are weighed as wholes: the likeliest first word need not begin the
likeliest answer.
"""

import math
from dataclasses import dataclass

import numpy as np

from chronos.architecture.ops.pointer import chances, likeliest
from chronos.memory.recall.net import Reading, RecallNet
from chronos.memory.recall.packing import ragged

DOUBT = math.log(0.5)  # an answer below that may not be the likeliest
RECALLED = 0.05  # of the stick: an event with less gives no run of words to weigh
RUNS = 16  # so many runs a question are weighed, those with the likeliest first words


@dataclass
class _Said:
    """One answer so far: its words, the log of its probability, and a draft of what may follow."""

    ids: list[int]
    log: float
    draft: list[int]


@dataclass
class _Offers:
    """What may be copied: for each of n questions slots (n, H, k, L), shares (n, H, k)."""

    slots: np.ndarray
    shares: np.ndarray


@dataclass
class _Words:
    """What each row of a pass may say next: the arguments of `likeliest`, and where each answer starts."""

    of: tuple[np.ndarray, ...]
    starts: np.ndarray

    def chances(self, tokens: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(R, n) of tokens (R, n), for some of the rows."""
        return chances(*(part[rows] for part in self.of), tokens)


def say(net: RecallNet, end: int, reading: Reading) -> list[list[int]]:
    """The words of all answers, without <end>."""
    slots = [found.events.slots(net.config.words) for found in reading.found]  # (n, k, L) a hop
    width = max(part.shape[1] for part in slots)
    shares = [_filled(found.shares.data[:, 0, :-1], width, 0) for found in reading.found]
    offers = _Offers(np.stack([_filled(part, width, -1) for part in slots], 1), np.stack(shares, 1))
    said = _greedy(net, end, reading, offers)
    doubtful = [i for i, one in enumerate(said) if one.log < DOUBT]
    if doubtful:
        _weigh(net, end, reading, offers, said, doubtful)
    return [one.ids for one in said]


def _pass(
    net: RecallNet, reading: Reading, offers: _Offers, answers: list[np.ndarray], rows: np.ndarray
) -> _Words:
    """One pass over answers, each for the question `rows` (R,) names."""
    reading = net.extend(reading, ragged(answers), rows)
    states, gate, scores, of = net.say(reading)
    logits = states.data @ net.emb.data.T
    logits -= logits.max(1, keepdims=True)
    p_lm = np.exp(logits)
    p_lm /= p_lm.sum(1, keepdims=True)
    asked = rows[of]
    heard = (p_lm, gate.data, scores.data, offers.shares[asked], offers.slots[asked])
    return _Words(heard, reading.asked.answers.starts)


def _greedy(net: RecallNet, end: int, reading: Reading, offers: _Offers) -> list[_Said]:
    """The likeliest word each time.

    Each pass looks at what is said so far and a draft of what may follow, and keeps the draft as far as it is
    what would have been said anyway: the same words as one at a time, in fewer passes.
    """
    most = net.config.answer
    said = [_Said([], 0.0, []) for _ in range(reading.asked.n)]
    open_ = np.arange(len(said))
    while len(open_):
        answers = [np.array([*said[i].ids, *said[i].draft, end], np.int64) for i in open_]
        words, still = _pass(net, reading, offers, answers, open_), []
        best, p = likeliest(*words.of)
        for i, start in zip(open_, words.starts):
            one, at = said[i], start + len(said[i].ids)
            kept = 0
            while kept < len(one.draft) and one.draft[kept] == best[at + kept] != end:
                kept += 1
            one.ids += best[at : at + kept + 1].tolist()
            one.log += float(np.log(p[at : at + kept + 1]).sum())
            if one.ids[-1] == end:
                one.ids.pop()
            elif len(one.ids) < most:
                one.draft = _draft(one.ids[-1], offers.slots[i], offers.shares[i], most - len(one.ids) - 1)
                still.append(i)
        open_ = np.array(still, np.int64)
    return said


def _weigh(
    net: RecallNet, end: int, reading: Reading, offers: _Offers, said: list[_Said], doubtful: list[int]
) -> None:
    """Where a run of words of a recalled event is likelier than what was said, it is said instead."""
    rows = np.array(doubtful)
    begin = _pass(net, reading, offers, [np.array([end])] * len(rows), rows)
    tried = []
    for row, i in enumerate(doubtful):
        runs = _runs(offers.slots[i], offers.shares[i], net.config.answer)
        if runs:
            firsts = begin.chances(np.array([[run[0] for run in runs]]), slice(row, row + 1))[0]
            order = np.argsort(-firsts, kind="stable")[:RUNS]
            tried += [(i, runs[j]) for j in order if math.log(firsts[j] + 1e-30) > said[i].log]
    if not tried:
        return
    answers = [np.array([*run, end]) for _, run in tried]
    words = _pass(net, reading, offers, answers, np.array([i for i, _ in tried]))
    told = np.concatenate(answers)
    p = words.chances(np.stack([told, np.full(len(told), end)], 1))
    logs, ends = np.log(p + 1e-30).T
    for (i, run), start in zip(tried, words.starts):
        before = np.cumsum(logs[start : start + len(run)])  # of the first 1, 2, … words of the run
        whole = before + ends[start + 1 : start + len(run) + 1]
        if whole.max() > said[i].log:
            said[i] = _Said(list(run[: int(whole.argmax()) + 1]), float(whole.max()), [])


def _runs(slots: np.ndarray, shares: np.ndarray, most: int) -> list[tuple[int, ...]]:
    """From each word of a recalled event on, as many as one may have: slots (H, k, L), shares (H, k)."""
    runs = {}
    for h, k in np.argwhere(shares >= RECALLED):
        row = slots[h, k]
        row = row[row >= 0].tolist()
        runs |= dict.fromkeys(tuple(row[at : at + most - 1]) for at in range(len(row)))
    return list(runs)


def _draft(last: int, slots: np.ndarray, shares: np.ndarray, most: int) -> list[int]:
    """What follows `last` in the heaviest recalled event that holds it: slots (H, k, L), shares (H, k)."""
    for h, k in sorted(np.ndindex(shares.shape), key=lambda at: -shares[at]):
        row = slots[h, k].tolist()
        if shares[h, k] > 0 and last in row:
            rest = row[row.index(last) + 1 :]
            rest = rest[: rest.index(-1)] if -1 in rest else rest
            return rest[: max(0, min(most, 3))]
    return []


def _filled(part: np.ndarray, width: int, fill: int) -> np.ndarray:
    """(n, k, …) → (n, width, …)."""
    more = np.full((len(part), width - part.shape[1], *part.shape[2:]), fill, part.dtype)
    return np.concatenate([part, more], axis=1)
