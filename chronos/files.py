"""Never lose a file: write beside, fsync, rename; hashes; JSON that is checked when it is read.

A leaf helper that every stage may import. Everything that Chronos leaves on disk goes through here.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, warn


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Replace `path` by `data` in one step: after a crash the old or the new content is there, whole."""
    path = _real(path)
    beside = _beside(path)
    try:
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(beside, "wb") as out:
                out.write(data.encode("utf-8") if isinstance(data, str) else data)
                out.flush()
                os.fsync(out.fileno())
            os.replace(beside, path)
            fsync_directory(path.parent)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: Path | str) -> Iterator[Path]:
    """Fill a directory beside `path`; on success it is fsynced and renamed to `path`, else removed.

    An existing directory is replaced, in one step where the system can (Linux), otherwise moved aside first.
    One that has no name in common with the new one (somebody's home, say) is refused: no older version.
    """
    path = _real(path)
    beside = _beside(path)
    try:
        with explain_os_errors(path):
            beside.mkdir(parents=True)
            yield beside
            refuse_strangers(path, os.listdir(beside))
            _put_in_place(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put_in_place(beside: Path, path: Path) -> None:
    """fsync a finished directory and let it take the name `path`; what stood there is removed."""
    fsync_tree(beside)
    old = _beside(path)
    try:
        if path.exists() and _exchange(beside, path):
            shutil.rmtree(beside, ignore_errors=True)
        else:
            if path.exists():
                os.replace(path, old)
            os.replace(beside, path)
        fsync_directory(path.parent)
    finally:
        if old.exists() and not path.exists():  # interrupted between the two renames: put it back
            os.replace(old, path)
        shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def resumable_directory(path: Path | str, made_of: Any) -> Iterator[Path]:
    """Fill a directory over several runs: `.NAME.partial/result` beside `path`, renamed to `path` on success.

    A run that was killed, interrupted or out of space leaves `.NAME.partial`, and the next one with the same
    `made_of` (a JSON value that names everything the content follows from) gets it back as it was; another
    `made_of` starts afresh, with a notice. Any other error removes it, but for those that say `keeps_work`.
    What is only needed on the way can stand beside the result, in its parent. Whoever fills it must be able
    to tell what in it is whole. A second process at the same time is refused.
    """
    path = _real(path)
    partial = path.parent / f".{path.name}.partial"
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(path.parent / f".{path.name}.lock", path):
            _begin_or_go_on(partial, path, json.dumps(made_of, ensure_ascii=False, sort_keys=True))
            try:
                yield partial / "result"
            except Exception as error:
                lasting = getattr(error, "keeps_work", False)
                if not (lasting or isinstance(error, OSError) or isinstance(error.__cause__, OSError)):
                    shutil.rmtree(partial, ignore_errors=True)
                raise
            refuse_strangers(path, os.listdir(partial / "result"))
            _put_in_place(partial / "result", path)
            remove_tree(partial)


_MADE_OF = "made-of.json"


def _begin_or_go_on(partial: Path, path: Path, wanted: str) -> None:
    """Leave in `partial` what an earlier run has made of the same, or make it an empty folder."""
    note = partial / _MADE_OF
    if not note.is_file() or note.read_text(encoding="utf-8") != wanted:
        if note.is_file():
            warn(f"{path}: unfinished work with other options or inputs is discarded")
        remove_tree(partial)
        partial.mkdir()
        write_atomic(note, wanted)
    (partial / "result").mkdir(exist_ok=True)
    for left in partial.rglob(".*.tmp"):  # by a write that was killed before its rename
        left.unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Remove a folder, also while a process that is just ending still writes into it."""
    for _ in range(100):
        if not folder.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder)  # says what is in the way


@contextlib.contextmanager
def exclusive(lock: Path, where: Path | str) -> Iterator[None]:
    """Hold a lock file, which ends with the process, however that ends. ChronosError if another has it."""
    with open(lock, "a+b") as file:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.name != "nt" and os.fstat(file.fileno()).st_nlink == 0:
                raise BlockingIOError  # its last holder removed it a moment ago
        except OSError:
            mend = "wait for it, or give another folder"
            raise ChronosError("another process is at work here", where=where, mend=mend) from None
        try:
            yield
        finally:
            if os.name != "nt":
                lock.unlink(missing_ok=True)


def _real(path: Path | str) -> Path:
    """Where a rename has to happen: a link is followed, so that it stays a link."""
    return Path(os.path.realpath(path))


def refuse_strangers(folder: Path | str, names: Iterable[str]) -> None:
    """ChronosError for a file, and for a folder that holds things but none of these names: not ours."""
    folder = Path(folder)
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    if (folder.exists() and not folder.is_dir()) or (there and not there & set(names)):
        what = "refusing to replace it: it holds other things than this command writes"
        raise ChronosError(what, where=folder, mend="give a new or an empty folder")


def _exchange(a: Path, b: Path) -> bool:
    """Let two paths change names in one step (renameat2, RENAME_EXCHANGE); False where it is not offered."""
    if not sys.platform.startswith("linux"):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return rename is not None and rename(here, os.fsencode(a), here, os.fsencode(b), exchange) == 0


def _beside(path: Path) -> Path:
    return path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"


@contextlib.contextmanager
def explain_os_errors(path: Path | str) -> Iterator[None]:
    """Turn an operating-system error (full disk, no permission …) into one clear line."""
    try:
        yield
    except BrokenPipeError:  # the reader of our output left: no trouble with a file
        raise
    except OSError as error:
        mend = "free some space and run the command again" if error.errno == 28 else "check the path"
        reason = error.strerror or str(error)
        named = str(error.filename or "")
        passing = any(named.endswith(end) or end + os.sep in named for end in (".tmp", ".partial"))
        where = path if not named or passing else named
        raise ChronosError(f"cannot write or read: {reason}", where=where, mend=mend) from error


def fsync_tree(root: Path) -> None:
    """Flush every file and folder below `root` to the disk."""
    mode = "rb+" if os.name == "nt" else "rb"  # Windows flushes only what it may write
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), mode) as file:
                os.fsync(file.fileno())
        fsync_directory(folder)


def fsync_directory(path: Path | str) -> None:
    """Flush a folder's entries (a rename is durable only after this); a no-op where unsupported."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path | str) -> str:
    """Hex SHA-256 of a file's content."""
    with explain_os_errors(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path | str) -> Any:
    """Parse a JSON file; damage is told with file and line."""
    try:
        with explain_os_errors(path):
            return json.loads(Path(path).read_bytes())
    except json.JSONDecodeError as error:
        raise ChronosError(f"damaged JSON ({error.msg})", where=f"{path}:{error.lineno}") from error
    except (ValueError, RecursionError) as error:
        raise ChronosError(f"damaged JSON ({type(error).__name__})", where=path) from error


def write_json(path: Path | str, obj: Any) -> None:
    """Write an object as indented JSON, atomically."""
    write_atomic(path, json.dumps(obj, ensure_ascii=False, indent=1) + "\n")
