"""Forgetting that can be checked: which events, what of them is left on disk, which copies still hold them.

It searches the places where Chronos itself puts memories; what a person copied elsewhere it cannot know.
"""

import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from chronos.inference.moments import data_folder
from chronos.memory.episodes.journal import ABOUT, DATA, read_about
from chronos.memory.episodes.reader import StoredEvent
from chronos.memory.episodes.store import EventStore
from chronos.settings import artifacts

DEPTH = 6  # folders below a root that are looked into


def forget(state: Path, ids: Iterable[int], compact: bool = False) -> dict[str, Any]:
    """Forget events of the store at `state`; {"forgotten", "texts", "copies", "files", "saved"}.

    `copies`: other stores of the same memory in which bytes of these texts remain. `files`: what was read
    into this memory, whose own text nobody touched. `saved`: bytes, None without `compact`. Nothing is
    forgotten where one of the ids is not there.
    """
    with EventStore.open(state, write=True) as store:
        known = [store.event(at) for at in sorted(set(ids))]
        count = store.forget([event.id for event in known])
        saved = store.compact() if compact else None
        copies = holding(known, copies_of(store.id, state))
        files = sorted(store.journal.cursors)
    texts = [event.text for event in known]
    return {"forgotten": count, "texts": texts, "copies": copies, "files": files, "saved": saved}


def copies_of(store_id: str, state: Path) -> list[Path]:
    """Other folders with a store of that id: beside `state`, in the data folder, in the artefacts."""
    here, found = os.path.realpath(state), {}
    for root in (state.resolve().parent, data_folder(), artifacts()):
        for folder in _folders(root, DEPTH):
            if (folder / ABOUT).is_file() and (real := os.path.realpath(folder)) != here:
                about = read_about(folder)
                if about and about["id"] == store_id:
                    found[real] = folder
    return [found[real] for real in sorted(found)]


def _folders(root: Path, depth: int) -> Iterator[Path]:
    yield root
    try:
        below = [Path(entry.path) for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for folder in sorted(below) if depth else ():
        yield from _folders(folder, depth - 1)


def holding(events: Sequence[StoredEvent], folders: Iterable[Path]) -> list[str]:
    """Those of the folders in whose files bytes of one of these texts stand, forgotten there or not."""
    texts = [event.text.encode("utf-8") for event in events if event.text]
    return [str(folder) for folder in folders if any(_holds(file, texts) for file in _words(folder))]


def _words(folder: Path) -> list[Path]:
    return [f for f in sorted(folder.iterdir()) if DATA.fullmatch(f.name) and f.name.startswith("words")]


def _holds(file: Path, texts: list[bytes]) -> bool:
    with open(file, "rb") as opened:
        if os.fstat(opened.fileno()).st_size == 0:
            return False
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return any(data.find(text) >= 0 for text in texts)
