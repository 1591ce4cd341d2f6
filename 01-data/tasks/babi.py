"""bAbI: the files of Weston et al. (2015) as lives, a story each, strictly read.

Line numbers are times; a question knows the lines that answer it. It holds none of the files: get them
from their authors, then `chronos data recall --task babi path=FOLDER --out-dir DIR`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from chronos.data.decoding import DamageError, numbered_lines
from chronos.data.documents import Tally, check_on_damage
from chronos.data.lives import Event, Question
from chronos.data.tasks.example import SPLITS, Example, require

_NUMBERED = re.compile(r"([0-9]{1,9}) (.*)")
_NAMED = re.compile(r"qa([0-9]+)_.*_(train|test)\.txt")


@dataclass(frozen=True)
class Options:
    """`path`: a file, or a folder of qaN_NAME_train.txt and _test.txt, of which `tasks` are read (all).

    The last `val` % of the stories of a training file are the split val; 0 leaves train whole. `on_damage`:
    fail, or skip (a story with damage is left out whole, and one warning counts them).
    """

    path: str = ""
    tasks: tuple[int, ...] = ()
    val: int = 0
    on_damage: str = "fail"

    def __post_init__(self) -> None:
        require(bool(self.path), "bAbI needs its files", mend="give path=FOLDER")
        require(0 <= self.val < 100, "val must lie between 0 and 99 %", got=self.val)
        check_on_damage(self.on_damage)


def examples(n: int | None, seed: int, split: str, options: Options) -> Iterator[Example]:
    """Every story of the split (of each file at most n), lives without arrays; nothing depends on `seed`.

    A question's kind is its task (qa1 …), `evidence` its supporting lines. The fact that answers is the
    latest of them that contains the answer, or the latest where none does; `age` counts lines since then.
    `overwrites` is 1 for "Where was … before …?" (the place asked about replaced the answer), else 0: all
    others ask for what still holds.
    """
    require(split in SPLITS, "no such split", expected=", ".join(SPLITS), got=repr(split))
    what = "the validation split is empty"
    require(split != "val" or options.val > 0, what, mend="give val=10, a share in % of the training file")
    life = count(1)
    for kind, file in _files(options, split):
        told = list(stories(file, kind, options.on_damage))
        cut = len(told) if split == "test" else len(told) * (100 - options.val) // 100
        for story in (told[cut:] if split == "val" else told[:cut])[:n]:
            yield _renumbered(story, next(life))


def _files(o: Options, split: str) -> list[tuple[str, Path]]:
    """(kind, file) of each task, by number; a single file may have any name."""
    path = Path(o.path)
    if not path.is_dir():
        named = _NAMED.fullmatch(path.name)
        return [(f"qa{named[1]}" if named else path.stem, path)]
    side = "test" if split == "test" else "train"
    found = ((_NAMED.fullmatch(file.name), file) for file in path.iterdir())
    files = {int(named[1]): file for named, file in found if named and named[2] == side}
    wanted = o.tasks or sorted(files)
    missing = [str(number) for number in wanted if number not in files]
    expected = f"qaN_NAME_{side}.txt"
    require(bool(wanted), "there is no bAbI file in it", where=path, expected=expected)
    require(not missing, f"there is no task {', '.join(missing)} in it", where=path, expected=expected)
    return [(f"qa{number}", files[number]) for number in wanted]


def stories(path: Path, kind: str, on_damage: str = "fail") -> Iterator[Example]:
    """The stories of one file; DamageError by file:line, or the damaged stories left out and counted."""
    tally = Tally(skip=on_damage == "skip")
    for block in _blocks(path):
        try:
            story = _story(block, kind, path)
        except DamageError as error:
            tally.damage(error)
        else:
            tally.kept += 1
            yield story
    tally.report(path, "story")


def _blocks(path: Path) -> Iterator[list[tuple[int, str | DamageError]]]:
    """The lines of each story with their numbers in the file: line 1 starts a new one."""
    block: list[tuple[int, str | DamageError]] = []
    for number, line in numbered_lines(path):
        if isinstance(line, str):
            if not line.strip():
                continue
            if line.startswith("1 ") and block:
                yield block
                block = []
        block.append((number, line))
    if block:
        yield block


def _story(block: list[tuple[int, str | DamageError]], kind: str, path: Path) -> Example:
    events: dict[int, Event] = {}
    questions = []
    for t, (number, line) in enumerate(block, 1):
        where = f"{path}:{number}"
        if isinstance(line, DamageError):
            raise line
        numbered = _NUMBERED.fullmatch(line.strip())
        if not numbered or int(numbered[1]) != t:
            raise DamageError("lines of a story are numbered from 1", where=where, expected=f"{t} and a text")
        fields = [field.strip() for field in numbered[2].split("\t")]
        if not all(fields) or len(fields) not in (1, 3):
            what = "a line is a sentence, or a question, its answer and its lines with tabs between"
            raise DamageError(what, where=where, got=f"{len(fields)} field(s), {fields.count('')} empty")
        if len(fields) == 1:
            events[t] = Event(t, fields[0])
        else:
            questions.append(_question(t, *fields, kind, events, where))
    return Example(list(events.values()), questions)


def _question(
    t: int, ask: str, answer: str, lines: str, kind: str, events: dict[int, Event], where: str
) -> Question:
    named = lines.split()
    told = [int(name) for name in named if name.isascii() and name.isdigit()]
    evidence = [at for at in dict.fromkeys(told) if at in events]  # in the file's order: that of thought
    if len(evidence) != len(named):
        what = "each supporting line must be an earlier sentence of its story"
        raise DamageError(what, where=where, got=lines)
    contains = re.compile(rf"\b{re.escape(answer)}\b", re.IGNORECASE)
    fact = max((at for at in evidence if contains.search(events[at].text)), default=max(evidence))
    overwritten = int(ask.startswith("Where was ") and " before " in ask)
    return Question(ask, answer, kind, t, t - fact, overwritten, tuple(evidence))


def _renumbered(story: Example, life: int) -> Example:
    events = [replace(event, life=life) for event in story.events]
    return Example(events, [replace(question, life=life) for question in story.questions])
