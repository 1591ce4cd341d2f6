"""Saying an answer: the likeliest word each time, and what was recalled word for word where that is in doubt.

Words are drafted from the recalled event and checked together, so that most answers take two passes. An
answer of at least half of the probability is the likeliest there is, as all of them share one. Below that the
runs of words in the recalled events are weighed as wholes: the likeliest first word need not begin the
likeliest answer. Against an answer counts what it tears apart or joins (bonds.py).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chronos.architecture.ops.pointer import chances, likeliest
from chronos.memory.recall.net import Reading, RecallNet
from chronos.memory.recall.packing import ragged

DOUBT = math.log(0.5)  # an answer below that may not be the likeliest
RECALLED = 0.05  # of the stick: an event with less gives no run of words to weigh
TINY = 1e-30  # added to a probability, so that none has no logarithm
RUNS = 16  # so many runs a question are weighed, those with the likeliest first words
STRAIN = 3.0  # nats for each bond that an answer breaks, and each that it makes up

Bond = Callable[[int, int], int]  # of two neighbouring ids: 1 tight, −1 loose, 0 not known


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

    def rows(self, i: int, least: float = 0.0) -> list[list[int]]:
        """The words of each event that question i recalled with more than so much."""
        found = (self.slots[i, h, k] for h, k in np.argwhere(self.shares[i] > least))
        return [row[row >= 0].tolist() for row in found]


@dataclass
class _Words:
    """What each row of a pass may say next: the arguments of `likeliest`, and where each answer starts."""

    of: tuple[np.ndarray, ...]
    starts: np.ndarray

    def chances(self, tokens: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(R, n) of tokens (R, n), for some of the rows."""
        return chances(*(part[rows] for part in self.of), tokens)


def say(net: RecallNet, end: int, reading: Reading, bond: Bond) -> list[list[int]]:
    """The words of all answers, without <end>. bond: whether two words belong together."""
    slots = [found.events.slots(net.config.words) for found in reading.found]  # (n, k, L) a hop
    width = max(part.shape[1] for part in slots)
    shares = [_filled(found.shares.data[:, 0, :-1], width, 0) for found in reading.found]
    offers = _Offers(np.stack([_filled(part, width, -1) for part in slots], 1), np.stack(shares, 1))
    said = _greedy(net, end, reading, offers)
    for i, one in enumerate(said):
        if max(one.ids, default=-1) >= net.config.vocabulary:
            one.log -= _strain_anywhere(one.ids, offers.rows(i), bond)
    doubtful = [i for i, one in enumerate(said) if one.log < DOUBT]
    if doubtful:
        _weigh(net, end, reading, offers, said, doubtful, bond)
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
                one.log = one.log if one.ids else -math.inf  # nobody answers without a word
            elif len(one.ids) < most:
                one.draft = _draft(one.ids[-1], offers.slots[i], offers.shares[i], most - len(one.ids) - 1)
                still.append(i)
        open_ = np.array(still, np.int64)
    return said


def _weigh(
    net: RecallNet, end: int, reading: Reading, offers: _Offers, said: list[_Said], doubtful: list[int],
    bond: Bond,
) -> None:  # fmt: skip
    """Where a run of words of a recalled event is likelier than what was said, it is said instead."""
    rows = np.array(doubtful)
    begin = _pass(net, reading, offers, [np.array([end])] * len(rows), rows)
    tried: list[tuple[int, _Run]] = []
    for row, i in enumerate(doubtful):
        runs = _runs(offers.rows(i, RECALLED), net.config.answer - 1)
        if runs:
            firsts = begin.chances(np.array([[run.ids[0] for run in runs]]), slice(row, row + 1))[0]
            order = np.argsort(-firsts, kind="stable")[:RUNS]
            tried += [(i, runs[j]) for j in order if math.log(firsts[j] + TINY) > said[i].log]
    if not tried:
        return
    answers = [np.array([*run.ids, end]) for _, run in tried]
    words = _pass(net, reading, offers, answers, np.array([i for i, _ in tried]))
    told = np.concatenate(answers)
    logs, ends = np.log(words.chances(np.stack([told, np.full(len(told), end)], 1)) + TINY).T
    for (i, run), start in zip(tried, words.starts):
        before = np.cumsum(logs[start : start + len(run.ids)])  # of the first 1, 2, … words of the run
        whole = before + ends[start + 1 : start + len(run.ids) + 1]
        for n in np.flatnonzero(whole > said[i].log) + 1:
            log = float(whole[n - 1]) - _strain(run.row, run.at, int(n), bond)
            if log > said[i].log:
                said[i] = _Said(run.ids[:n], log, [])


@dataclass
class _Run:
    """Words of a recalled event, from one of them on: row is the whole event, ids = row[at : at + most]."""

    row: list[int]
    at: int
    ids: list[int]


def _runs(rows: list[list[int]], most: int) -> list[_Run]:
    """From each word of each event on, as many as an answer may have; of equal ones in equal company one."""
    runs = {}
    for row in rows:
        for at in range(len(row)):
            run = _Run(row, at, row[at : at + most])
            runs.setdefault((row[at - 1] if at else -1, *run.ids), run)
    return list(runs.values())


def _strain(row: list[int], at: int, n: int, bond: Bond) -> float:
    """What counts against row[at : at + n]: loose pairs within, and tight ones that its ends tear apart."""
    pairs = [bond(a, b) for a, b in zip(row[at : at + n], row[at + 1 : at + n])]
    cut = [bond(*row[k - 1 : k + 1]) for k in (at, at + n) if 0 < k < len(row)]
    return STRAIN * (pairs.count(-1) + cut.count(1))


def _strain_anywhere(ids: list[int], rows: list[list[int]], bond: Bond) -> float:
    """The least that counts against words where they stand in one of the events; if in none, STRAIN."""
    n = len(ids)
    found = [(row, at) for row in rows for at in range(len(row) - n + 1) if row[at : at + n] == ids]
    return min((_strain(row, at, n, bond) for row, at in found), default=STRAIN)


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
