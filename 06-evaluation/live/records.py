"""Records of questions in a folder: answers.jsonl, lives/N.jsonl, about.json; read strictly, by file:line.

    with Writer(folder, made_of={"model": sha256, "seeds": [1, 2, 3]}) as writer:
        if not writer.has(1, 7, "on"):
            writer.answers(1, 7, "on", rows)  # rows without seed, life and condition
    read(folder).answers()  # all of them, one at a time

It asks no model and judges nothing; `report.py` and `microscope.py` start from what it reads.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from chronos.console import ChronosError
from chronos.data.decoding import DamageError, numbered_lines
from chronos.data.rows import parse_json
from chronos.evaluation.live.rows import LATEST, Answer, Taken, parse_answer, parse_taken
from chronos.files import explain_os_errors, read_json, resumable_directory, write_json

ANSWERS, LIVES, ABOUT = "answers.jsonl", "lives", "about.json"
NEEDED = {"model": dict, "command": str, "commit": str, "machine": str}  # of about.json; more may stand there

Row = TypeVar("Row", Answer, Taken)


class Writer:
    """Writes records in parts: killed at any instant, the same command goes on with the next part.

    `made_of` is a JSON value that names everything the answers follow from: unfinished work of another is
    discarded, with a notice. On success `folder` is made or replaced, whole; after an error what has been
    finished is kept beside it. A row that could not be read again is refused (DamageError).
    """

    def __init__(self, folder: Path | str, made_of: Any):
        self.folder = Path(folder)
        self._whole: AbstractContextManager[Path] = resumable_directory(folder, made_of)

    def __enter__(self) -> "Writer":
        self._result = self._whole.__enter__()
        self._parts = self._result.parent / "parts"
        for place in (self._parts, self._result / LIVES):
            place.mkdir(exist_ok=True)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool | None:
        if error is None:
            try:
                self._finish()
            except BaseException as late:
                if not isinstance(late, DamageError):  # parts that contradict each other stay wrong
                    self._keep(late)
                if not self._whole.__exit__(type(late), late, late.__traceback__):
                    raise
            return self._whole.__exit__(None, None, None)
        self._keep(error)
        return self._whole.__exit__(kind, error, trace)

    @staticmethod
    def _keep(error: BaseException) -> None:
        error.keeps_work = True  # type: ignore[attr-defined]  (each part is whole: see resumable_directory)

    def has(self, seed: int, life: int, condition: str) -> bool:
        """Whether the answers of this part are there already."""
        return self._part(seed, life, condition).is_file()

    def answers(
        self, seed: int, life: int, condition: str, rows: Iterable[Mapping[str, Any] | Answer]
    ) -> int:
        """Write a part, streamed; returns how many answers it has. There must be one at least."""
        fixed = {"seed": seed, "life": life, "condition": condition}
        where = f"seed {seed}, life {life}, {condition}"
        count = _write(self._part(seed, life, condition), rows, parse_answer, where, fixed)
        if not count:
            raise ChronosError("there are no answers to record", where=where, mend="ask something")
        return count

    def has_life(self, life: int) -> bool:
        """Whether this life's events are there already."""
        return self._life(life).is_file()

    def life(self, life: int, events: Iterable[Mapping[str, Any] | Taken]) -> int:
        """Write a life's events as the model of the lowest seed took them; returns how many there are."""
        if not 0 <= life <= LATEST:
            raise ChronosError("the number of a life must be 0 … 2⁵³", got=life)
        return _write(self._life(life), events, parse_taken, f"life {life}", {})

    def about(self, about: Mapping[str, Any]) -> None:
        """Write what made the answers: at least model (an object), command, commit and machine."""
        write_json(self._result / ABOUT, _checked_about(dict(about), ABOUT))

    def _part(self, seed: int, life: int, condition: str) -> Path:
        return self._parts / f"{seed:06}-{life:06}-{quote(condition, safe='')}.jsonl"

    def _life(self, life: int) -> Path:
        return self._result / LIVES / f"{life}.jsonl"

    def _finish(self) -> None:
        if not (self._result / ABOUT).is_file():
            raise ChronosError("the records lack what made them", where=self.folder, expected=ABOUT)
        with explain_os_errors(self.folder), open(self._result / ANSWERS, "wb") as out:
            for part in sorted(self._parts.glob("*.jsonl")):
                with open(part, "rb") as rows:
                    shutil.copyfileobj(rows, out)
        check(read(self._result))


def _write(
    path: Path,
    rows: Iterable[Any],
    parse: Callable[[Any, object], Any],
    where: str,
    fixed: Mapping[str, Any],
) -> int:
    """Rows through the reader's checks into a file that takes its name when it is whole."""
    beside, count = path.with_name(f".{path.name}.tmp"), 0
    with explain_os_errors(path), open(beside, "wb") as out:
        for count, row in enumerate(rows, 1):
            plain = asdict(row) if is_dataclass(row) else dict(row)
            parsed = parse({**plain, **fixed}, f"{where}, row {count}")
            line = json.dumps(asdict(parsed), ensure_ascii=False, allow_nan=False)
            out.write(line.encode("utf-8") + b"\n")
        out.flush()
        os.fsync(out.fileno())
    os.replace(beside, path)
    return count


class Records:
    """What `read` found: `about`, and the numbers of the `lives` whose events are there."""

    def __init__(self, folder: Path, about: dict[str, Any], lives: tuple[int, ...]):
        self.folder, self.about, self.lives = folder, about, lives

    def answers(self) -> Iterator[Answer]:
        """Every answer, streamed; DamageError (file:line) for a row that is wrong or contradicts another.

        A life's number means one life: its events and its questions (t, words) are the same under every
        condition and seed, and each is asked once under each.
        """
        agreement = _Agreement()
        for where, answer in _rows(self.folder / ANSWERS, parse_answer):
            agreement.check(answer, where)
            yield answer
        if not agreement.asked:
            raise ChronosError("there is no answer", where=self.folder / ANSWERS)

    def life(self, life: int) -> list[Taken]:
        """The events of a life, numbers from 1 upward, times never backwards."""
        path, found, t = self.folder / LIVES / f"{life}.jsonl", [], 0
        for where, event in _rows(path, parse_taken):
            if event.n != len(found) + 1:
                raise DamageError("events count from 1", where=where, expected=len(found) + 1, got=event.n)
            if event.t < t:
                raise DamageError("time runs backwards", where=where, expected=f"t ≥ {t}", got=event.t)
            t = event.t
            found.append(event)
        if not found:
            raise ChronosError("there is no event", where=path)
        return found


class _Agreement:
    """Refuses a second answer to the same question, and a life or a question that changes."""

    def __init__(self) -> None:
        self.asked: set[tuple[int, int, str, int, str]] = set()
        self.sizes: dict[int, int] = {}
        self.questions: dict[tuple[int, int, str], tuple[Any, ...]] = {}

    def check(self, row: Answer, where: str) -> None:
        key = (row.seed, row.life, row.condition, row.t, row.question)
        if key in self.asked:
            raise DamageError("the same question is answered twice", where=where, got=f"{row.question!r}")
        self.asked.add(key)
        if self.sizes.setdefault(row.life, row.events) != row.events:
            before = f"{self.sizes[row.life]} events of life {row.life}, as before"
            raise DamageError("a life changes its length", where=where, expected=before, got=row.events)
        facts = (row.answer, row.kind, row.language, row.age, row.overwrites)
        before = self.questions.setdefault((row.life, row.t, row.question), facts)
        if before != facts:
            raise DamageError("a question changes", where=where, expected=before, got=facts)


def read(folder: Path | str) -> Records:
    """Open records; ChronosError where there are none, DamageError for a damaged about.json."""
    folder = Path(folder)
    for name in (ANSWERS, ABOUT):
        if not (folder / name).is_file():
            mend = "make them with `chronos eval --suite cairo`"
            raise ChronosError("these are no records of questions", where=folder, expected=name, mend=mend)
    about = _checked_about(read_json(folder / ABOUT), folder / ABOUT)
    lives = []
    for path in (folder / LIVES).glob("*.jsonl"):
        if not path.stem.isascii() or not path.stem.isdigit():
            raise DamageError("a life's file is named by its number", where=path)
        lives.append(int(path.stem))
    return Records(folder, about, tuple(sorted(lives)))


def check(records: Records) -> None:
    """Go through everything once; DamageError at the first thing that is wrong."""
    sizes = {answer.life: answer.events for answer in records.answers()}
    for life in records.lives:
        found = len(records.life(life))
        if sizes.get(life, found) != found:
            where = records.folder / LIVES / f"{life}.jsonl"
            raise DamageError("the answers know another life", where=where, expected=sizes[life], got=found)


def _checked_about(about: Any, where: object) -> dict[str, Any]:
    if not isinstance(about, dict):
        raise DamageError("not an object", where=where, got=type(about).__name__)
    for name, kind in NEEDED.items():
        if not isinstance(about.get(name), kind):
            expected = "an object" if kind is dict else "a text"
            got = type(about.get(name)).__name__
            raise DamageError(f"field {name!r} must be there", where=where, expected=expected, got=got)
    return about


def _rows(path: Path, parse: Callable[[Any, object], Row]) -> Iterator[tuple[str, Row]]:
    for number, line in numbered_lines(path):
        where = f"{path}:{number}"
        if isinstance(line, DamageError):
            raise line
        yield where, parse(parse_json(line, path, number), where)
