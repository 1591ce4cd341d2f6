"""A file from the network to the disk: resumed where it broke off, hashed, and whole or not there.

While it arrives it is NAME.part with what is known of it beside; a kill at any instant loses nothing that
had arrived. What is already there is asked for once and for all, or again only if it changed.
"""

import hashlib
import os
import re
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, Progress
from chronos.data.sources.network import Again, Network, shown
from chronos.files import explain_os_errors, fsync_directory, read_json, sha256_file, write_json

SLOWEST = 200  # bytes a second, over the time of a timeout; a server that drips slower has fallen silent
_HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*+<(?:!doctype\s+html|html)\b", re.I | re.S)
_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


@dataclass(frozen=True)
class Record:
    """What is known of a fetched file. `url` is shown without secrets; `date` is UTC."""

    url: str
    bytes: int
    sha256: str
    etag: str
    modified: str
    date: str


def record_of(path: Path) -> Record | None:
    """The record beside a fetched file, if both are there and whole."""
    beside = _beside(path, ".record.json")
    if not (path.is_file() and beside.is_file()):
        return None
    try:
        record = Record(**read_json(beside))
    except (ChronosError, TypeError):
        return None
    return record if path.stat().st_size == record.bytes and sha256_file(path) == record.sha256 else None


def download(
    net: Network,
    url: str,
    path: Path,
    *,
    limit: int,
    changed_since: Record | None = None,
    robots: bool = True,
) -> Record | None:
    """Fetch `url` into `path` and return its record; what is there already, whole, is not asked for again.

    `limit` in bytes; `robots` False for what a site offers to programs by name. With `changed_since` (a
    record) the server is asked for a change, and None means that there is none.
    Raises ChronosError for what is refused, missing, too large, or an HTML page.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if changed_since is None and (known := record_of(path) or _finished(path)):
        return known
    job = _Job(net, url, path, limit, changed_since, robots)
    with explain_os_errors(path):
        if not net.patiently(url, job.attempt, lambda: job.size()):
            return None
        return job.finish()


def _strong(etag: str) -> str:
    """An ETag that promises the same bytes; a weak one does not, and nothing is resumed by it."""
    return "" if etag.startswith("W/") else etag


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _finished(path: Path) -> Record | None:
    """A kill between the record and the rename left a whole .part: take it."""
    part = _beside(path, ".part")
    beside = _beside(path, ".record.json")
    if part.is_file() and beside.is_file() and not path.exists():
        os.replace(part, path)
        if record := record_of(path):
            return record
        os.replace(path, part)
    return None


class _Job:
    """One download: its .part, and in .part.json what the part is a part of."""

    def __init__(
        self, net: Network, url: str, path: Path, limit: int, changed_since: Record | None, robots: bool
    ):
        self.net, self.url, self.path, self.limit = net, url, path, limit
        self.changed_since, self.robots = changed_since, robots
        self.part, self.note = _beside(path, ".part"), _beside(path, ".part.json")
        self.answer: dict[str, str] = {}

    def size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def attempt(self) -> bool:
        """Ask for what is missing and store what arrives; False if there is nothing new; Again if cut off."""
        have, known = self._resumable()
        headers: dict[str, str] = {}
        if have:
            headers = {"Range": f"bytes={have}-", "If-Range": _strong(known["etag"]) or known["modified"]}
        elif since := self.changed_since:
            told = {"If-None-Match": since.etag, "If-Modified-Since": since.modified}
            headers = {key: value for key, value in told.items() if value}
        with self.net.get(self.url, headers, self.robots) as answer:
            if answer.status == 304:
                return False
            if answer.status == 416:
                return self._end_of(answer, have)
            start = self._start(answer, have, known)
            total = self._total(answer, start)
            self._store(answer, start, total)
        return True

    def _resumable(self) -> tuple[int, dict[str, str]]:
        """How much of the same thing is there already; nothing without a mark by which to know it again."""
        have = self.size()
        try:
            known = read_json(self.note) if have and self.note.is_file() else {}
        except ChronosError:
            known = {}
        told = (
            {key: str(known.get(key, "")) for key in ("etag", "modified")} if isinstance(known, dict) else {}
        )
        if not (told and known.get("url") == self._mark() and (_strong(told["etag"]) or told["modified"])):
            return 0, {}
        self.answer = told
        return have, told

    def _mark(self) -> str:
        return hashlib.sha256(self.url.encode()).hexdigest()

    def _start(self, answer: Any, have: int, known: dict[str, str]) -> int:
        """Where the bytes that now come belong; what does not fit what is there is fetched anew."""
        etag = answer.headers.get("ETag", "")
        if answer.status == 206:
            span = re.fullmatch(
                r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", "").strip()
            )
            same = not (etag and known.get("etag")) or etag == known["etag"]
            if not (have and span and int(span[1]) == have and same):
                self._forget()
                raise Again("the file changed while it was fetched", wait=0.0)
            return have
        self._forget()
        self.answer = {"etag": etag, "modified": answer.headers.get("Last-Modified", "")}
        write_json(self.note, self.answer | {"url": self._mark()})
        return 0

    def _forget(self) -> None:
        self.note.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def _end_of(self, answer: Any, have: int) -> bool:
        """416: all of it is there already, or the part is of something else."""
        if have and answer.headers.get("Content-Range", "").strip() == f"bytes */{have}":
            return True
        self._forget()
        raise Again("the file changed while it was fetched", wait=0.0)

    def _total(self, answer: Any, start: int) -> int | None:
        """The whole length in bytes where it is told; refuses what cannot be wanted before it is read."""
        packing = answer.headers.get("Content-Encoding", "identity").lower()
        if packing != "identity" and not answer.asked.partition("?")[0].endswith(_PACKED):
            self._forget()
            raise ChronosError("the server sends it packed, unasked", where=shown(self.url), got=packing)
        if answer.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            self._refuse_page()
        length = answer.headers.get("Content-Length", "").strip()
        total = start + int(length) if length.isdigit() and len(length) < 19 else None
        if total is not None and total > self.limit:
            self._refuse_size(total)
        return total

    def _refuse_page(self) -> None:
        self._forget()
        raise ChronosError("this is an HTML page, not data", where=shown(self.url), mend="check the name")

    def _refuse_size(self, size: int) -> None:
        self._forget()
        raise ChronosError(
            "too large", where=shown(self.url), expected=f"at most {self.limit} bytes", got=size
        )

    def _store(self, answer: Any, start: int, total: int | None) -> None:
        done, window, since = start, 0, time.monotonic()
        label = f"fetching {self.path.name}"
        with (
            open(self.part, "ab" if start else "wb") as out,
            Progress(total, label, unit="B", start=start) as bar,
        ):
            while data := answer.read1(1 << 18):
                if not done and _HTML.match(data[:2048]):
                    self._refuse_page()
                done += len(data)
                if done > self.limit:
                    self._refuse_size(done)
                out.write(data)
                out.flush()
                bar.update(done)
                window += len(data)
                if (now := time.monotonic()) - since > self.net.timeout:
                    if window < SLOWEST * (now - since):
                        raise Again("the server fell almost silent")
                    window, since = 0, now
            os.fsync(out.fileno())
        if total is not None and done < total:
            raise Again(f"cut off after {done} of {total} bytes", wait=0.0 if done > start else None)

    def finish(self) -> Record:
        """Hash the part, write its record, and give it its name."""
        if not self.size():
            self.part.touch()
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        record = Record(shown(self.url), self.size(), sha256_file(self.part), date=now, **self.answer)
        write_json(_beside(self.path, ".record.json"), asdict(record))
        os.replace(self.part, self.path)
        fsync_directory(self.path.parent)
        self.note.unlink(missing_ok=True)
        return record
