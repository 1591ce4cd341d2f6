"""`chronos eval --suite quotes`: how often the sentence that answers is among the few that are shown.

A novel is read once into a memory and questions are asked whose answer is one sentence of it. What the answer
says is not judged, only what is shown beside it. Plain BM25 over the same sentences is the bar.
"""

import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chronos import settings
from chronos.console import ChronosError, Progress
from chronos.data.decoding import decode, open_file
from chronos.data.notes.reading import Note, Reading, read_notes
from chronos.evaluation.content import git_state
from chronos.evaluation.live.retrieval import BM25, place_of
from chronos.files import read_json, sha256_file, write_json
from chronos.memory.recall import Answer, Moment, Recaller, load_recaller

SHOWN = 3  # memories of each answer that are looked at
CHAPTER = re.compile(r"(?im)^\s*(?:chapter\s+)?(?:\d+|[ivxlc]+)\.?\s*$")


@dataclass(frozen=True)
class Asked:
    """A file of questions: {"novel", "chapters" (0: all), "questions": [{"question", "sentence"}]}.

    sentence: how the one sentence begins that answers.
    """

    novel: str
    chapters: int
    questions: tuple[str, ...]
    sentences: tuple[str, ...]


def read_asked(path: Path) -> Asked:
    """The questions of a file. ChronosError where it is not as `Asked` says."""
    found = read_json(path)
    try:
        rows = [(row["question"], row["sentence"]) for row in found["questions"]]
        questions, sentences = zip(*rows)
        asked = Asked(found["novel"], int(found.get("chapters", 0)), questions, sentences)
    except (KeyError, TypeError, ValueError) as error:
        expected = '{"novel", "chapters", "questions": [{"question", "sentence"}]}'
        raise ChronosError("no questions about a novel", where=path, expected=expected) from error
    if not all(isinstance(one, str) for one in (asked.novel, *questions, *sentences)):
        raise ChronosError("novel, questions and sentences must be texts", where=path)
    return asked


def evaluate(model: Path, texts: Path, asked: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Ask the questions of all files about the novels in `texts`; writes `folder`/quotes.json and returns it.

    accuracy: the right sentence is among the first SHOWN of the nearest where there are any, else of those
    cited. baselines: of those cited alone, and of BM25. ChronosError where a sentence is not in its novel.
    """
    recaller, rows = load_recaller(model), []
    with Progress(len(asked), "asking about novels", unit="novels") as bar:
        for i, path in enumerate(asked):
            rows += _novel(recaller, texts, read_asked(path))
            bar.update(i + 1)
    novels = dict.fromkeys(row["novel"] for row in rows)
    by_novel = {name: [row for row in rows if row["novel"] == name] for name in novels}
    state = git_state()
    result = {
        "suite": "quotes",
        "shown": SHOWN,
        **_shares(rows),
        "by_kind": {name: _shares(part) for name, part in by_novel.items()},
        "columns": ["novel", "questions", f"among {SHOWN} shown, %", "cited alone, %", "BM25, %"],
        "rows": [_row(name, part) for name, part in (*by_novel.items(), ("all", rows))],
        "questions": rows,
        "model": sha256_file(model / "config.json"),
        "command": shlex.join(["chronos", *sys.argv[1:]]),
        "commit": str(state["commit"] or "unknown") + (", changed" if state["changed"] else ""),
        "machine": settings.machine(),
    }
    write_json(folder / "quotes.json", result)
    return result


def _novel(recaller: Recaller, texts: Path, asked: Asked) -> list[dict[str, Any]]:
    """A row for each question: where it stands in what is shown, cited and found by BM25; 0: not there."""
    with tempfile.TemporaryDirectory(prefix="chronos-quotes-") as place:
        told = _sentences(texts / asked.novel, asked.chapters, Path(place))
        sentences = [note.text for note in told]
        right = [place_of(sentences, begins) for begins in asked.sentences]
        with recaller.create_store(Path(place) / "memory") as store:
            recaller.ingest(store, [Moment(note.time_us, note.text) for note in told], asked.novel)
            answers = recaller.ask(store, asked.questions, near=SHOWN)
    index, rows = BM25(sentences), []
    for question, answer, at in zip(asked.questions, answers, right, strict=True):
        cited, shown = _shown(answer)
        best = [sentences[i] for i in index.best(question, SHOWN)]
        places = {"shown": shown, "cited": cited, "bm25": best}
        rank = {name: _rank(some, sentences[at]) for name, some in places.items()}
        rows.append({"novel": asked.novel, "question": question, "known": answer.known, **rank})
    return rows


def _sentences(path: Path, chapters: int, place: Path) -> list[Note]:
    """The events of a novel up to the end of a chapter, as `chronos ingest` reads them."""
    with open_file(path) as file:
        text = decode(file.read(), path)
    starts = [found.start() for found in CHAPTER.finditer(text)]
    if chapters and len(starts) < chapters:
        raise ChronosError("the novel has fewer chapters", where=path, expected=chapters, got=len(starts))
    cut = starts[chapters] if 0 < chapters < len(starts) else len(text)
    (place / "novel.txt").write_text(text[:cut], "utf-8")
    return list(read_notes(place / "novel.txt", Reading(quiet=True)))


def _shown(answer: Answer) -> tuple[list[str], list[str]]:
    cited = [one.text for one in answer.memories[:SHOWN]]
    return cited, [one.text for one in answer.nearest[:SHOWN]] or cited


def _rank(found: Sequence[str], right: str) -> int:
    """1 for the first, 0 where it is not among them."""
    return found.index(right) + 1 if right in found else 0


def _row(name: str, rows: Sequence[dict[str, Any]]) -> list[Any]:
    found = _shares(rows)
    return [name, found["n"], *(100 * share for share in (found["accuracy"], *found["baselines"].values()))]


def _shares(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    share = {name: sum(row[name] > 0 for row in rows) / len(rows) for name in ("shown", "cited", "bm25")}
    baselines = {"cited alone": share["cited"], "bm25": share["bm25"]}
    known = sum(row["known"] for row in rows)
    return {"n": len(rows), "accuracy": share["shown"], "answered": known, "baselines": baselines}
