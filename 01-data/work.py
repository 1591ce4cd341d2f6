"""The folder of work in progress beside a corpus: who works there, on what, and what of it is already done.

It is kept when work is interrupted and gone when it is finished. Nothing in it is meant for anybody else.
Used by `chronos.data.prepare`.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, warn
from chronos.files import explain_os_errors

VERSION = 1  # of the files in the folder; another one starts afresh


@contextlib.contextmanager
def workspace(out_dir: Path | str, plan: Mapping[str, Any]) -> Iterator[Path]:
    """The folder for blocks of this plan, beside `out_dir`, while no other process prepares the same.

    Blocks of an earlier attempt are in it if its plan was the same; one with another plan is discarded, with
    a notice. After success, and after an error that comes from the input or the options, it is removed;
    after an interruption, a lost worker or a full disk it stays. Raises ChronosError for a second process.
    """
    real = Path(os.path.realpath(out_dir))
    beside = real.parent / f".{real.name}.partial"
    digest = hashlib.sha256(json.dumps([VERSION, plan], sort_keys=True).encode("utf-8")).hexdigest()
    with explain_os_errors(out_dir):
        beside.mkdir(parents=True, exist_ok=True)
        lock = _lock(beside, out_dir)
    keep = True
    try:
        _discard_leftovers(real)
        folder = beside / digest[:16]
        others = [name for name in os.listdir(beside) if name not in (folder.name, "lock")]
        if others:
            warn(f"{out_dir}: unfinished work with other options or inputs is discarded")
            for name in others:
                shutil.rmtree(beside / name, ignore_errors=True)
        with explain_os_errors(folder):
            folder.mkdir(exist_ok=True)
        yield folder
        keep = False
    except ChronosError as error:
        keep = getattr(error, "keeps_work", False) or isinstance(error.__cause__, OSError)
        raise
    finally:
        if not keep:
            shutil.rmtree(beside, ignore_errors=True)
        os.close(lock)


def done(folder: Path) -> set[int]:
    """The numbers of the blocks whose files stand in the folder, whole."""
    return {int(name[:-4]) for name in os.listdir(folder) if re.fullmatch(r"\d{6,}\.npz", name)}


def _lock(beside: Path, out_dir: Path | str) -> int:
    """An open file that only this process has locked; the system lets go of it however the process ends."""
    while True:
        handle = os.open(beside / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(handle)
        except OSError:
            os.close(handle)
            what = "another process is preparing this folder"
            raise ChronosError(what, where=out_dir, mend="wait for it or give another folder") from None
        with contextlib.suppress(OSError):  # not the file that its last owner has just removed
            if os.fstat(handle).st_ino == os.stat(beside / "lock").st_ino:
                return handle
        os.close(handle)
        beside.mkdir(parents=True, exist_ok=True)


def _take(handle: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _discard_leftovers(real: Path) -> None:
    """Remove what a process that was killed while it put a corpus into place has left beside it."""
    pattern = re.compile(re.escape(f".{real.name}.") + r"\d+-[0-9a-f]{8}\.tmp")
    for name in os.listdir(real.parent):
        if pattern.fullmatch(name) and (real.parent / name).is_dir():
            shutil.rmtree(real.parent / name, ignore_errors=True)
