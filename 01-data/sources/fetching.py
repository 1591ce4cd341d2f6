"""`fetch`: text from a named source on the network into a folder of rows, resumable, hashed, polite.

A folder holds NAME-00000.jsonl … ({"text", "title", "url", "licence"}), manifest.json, and in .raw what was
fetched. Nothing happens unless somebody calls it: `chronos data fetch NAME --out-dir DIR`.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from chronos.console import ChronosError, Progress
from chronos.data.decoding import clean, refuse_surrogates
from chronos.data.sources import GENERATED, arxiv, feeds, gutenberg, huggingface, wikipedia
from chronos.data.sources.network import Network
from chronos.data.sources.store import Resource, Row, Source, Store
from chronos.files import exclusive, explain_os_errors, fsync_directory, read_json, sha256_file, write_json
from chronos.settings import did_you_mean

SHARD = 64 << 20  # bytes of one .jsonl, about

FETCHERS: dict[str, Source] = {
    "gutenberg": gutenberg.SOURCE,
    "wikipedia": wikipedia.SOURCE,
    "arxiv": arxiv.SOURCE,
    "news": feeds.SOURCE,
    "huggingface": huggingface.SOURCE,
}


def fetch(
    name: str,
    out_dir: Path | str,
    *,
    limit: int | None = None,
    make_network: Callable[..., Network] = Network,
    **options: Any,
) -> dict[str, Any]:
    """Fetch from a source of FETCHERS and return what the folder holds now and how many rows are new.

    `limit`: at most so many rows of this run; `options`: those of the source. What is there already is
    verified by its hash and not fetched again: the same call adds nothing. Interrupted at any instant, the
    same call goes on. Raises ChronosError, leaving rows and manifest as they were.
    """
    source = _source(name, options)
    if limit is not None and limit < 1:
        raise ChronosError("limit must be at least 1", got=limit)
    out_dir = Path(out_dir)
    with explain_os_errors(out_dir):
        (out_dir / ".raw").mkdir(parents=True, exist_ok=True)
    with exclusive(out_dir / ".raw" / "lock", out_dir):
        manifest = _Manifest(out_dir, name)
        manifest.refuse_other_limit(limit)
        store = Store(
            out_dir / ".raw", make_network(delay=source.delay, robots=source.robots), manifest.resources
        )
        told = {"limit": limit} if "limit" in source.options else {}
        resources = list(_counted(source.collect(store, **options, **told), options))
        return manifest.add(source, resources, limit)


def table_of_sources() -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """What text there is, as (columns, rows) of a table: made here, then fetched when asked for."""
    made = [
        (name, "made here", source.about, source.licence, source.size) for name, source in GENERATED.items()
    ]
    there = [
        (name, "network", source.about, source.licence, source.size) for name, source in FETCHERS.items()
    ]
    return ("name", "from", "what", "licence", "size"), made + there


def _counted(resources: Iterator[Resource], options: Mapping[str, Any]) -> Iterator[Resource]:
    """The same, with a line that tells how far it is, and where the number is known, how long it takes."""
    named = next((options[key] for key in ("ids", "files", "feeds") if options.get(key)), ())
    with Progress(len(named) or None, "fetching") as bar:
        for number, resource in enumerate(resources, 1):
            yield resource
            bar.update(number, fetched=number)


def _source(name: str, options: Mapping[str, Any]) -> Source:
    if name not in FETCHERS:
        raise ChronosError("no such source", got=repr(name), mend=did_you_mean(str(name), FETCHERS))
    source = FETCHERS[name]
    for option in options:
        if option not in source.options:
            mend = did_you_mean(option, source.options)
            raise ChronosError(f"{name} has no option {option!r}", mend=mend)
    return source


class _Manifest:
    """What the folder holds: the resources that became rows, and the shards with their hashes.

    The manifest is what counts: shards are written beside as .NAME-00000.jsonl.new, then the manifest, then
    the shards get their names; a folder that was left in between is put right by the next run.
    """

    def __init__(self, folder: Path, name: str):
        self.folder, self.name = folder, name
        self.path = folder / "manifest.json"
        self.resources: dict[str, Any] = {}
        self.shards: list[dict[str, Any]] = []
        if self.path.exists():
            self._read()
        elif any(self._is_shard(file.name) for file in folder.iterdir()):
            raise ChronosError(
                "there are rows without a manifest", where=folder, mend="give another --out-dir"
            )
        self._finish_and_verify()

    def _is_shard(self, name: str) -> bool:
        return re.fullmatch(re.escape(self.name) + r"-\d{5}\.jsonl", name) is not None

    def _read(self) -> None:
        data = read_json(self.path)
        kinds = {"version": int, "name": str, "resources": dict, "shards": list}
        if not _has(data, kinds) or data["version"] != 1:
            raise ChronosError("damaged manifest", where=self.path, mend="give another --out-dir")
        if data["name"] != self.name:
            what = f"this folder holds {data['name']}"
            raise ChronosError(what, where=self.folder, expected=self.name, mend="give another --out-dir")
        fields = {"file": str, "rows": int, "bytes": int, "sha256": str}
        whole = all(_has(shard, fields) and self._is_shard(shard["file"]) for shard in data["shards"])
        told = {"sha256": str, "rows": int, "more": dict}
        if not (whole and all(_has(entry, told) for entry in data["resources"].values())):
            raise ChronosError("damaged manifest", where=self.path, mend="give another --out-dir")
        self.resources, self.shards = data["resources"], data["shards"]

    def _finish_and_verify(self) -> None:
        """Give shards the names that a killed run had no time for, and check every hash."""
        total = sum(shard["bytes"] for shard in self.shards)
        done = 0
        with Progress(total, "verifying what is there", unit="B") as bar:
            for shard in self.shards:
                path = self.folder / shard["file"]
                new = _new(path)
                if new.exists() and not path.exists():
                    os.replace(new, path)
                if not path.is_file() or sha256_file(path) != shard["sha256"]:
                    what = "changed since it was fetched" if path.is_file() else "missing"
                    mend = "put it back, or give another --out-dir"
                    raise ChronosError(what, where=path, mend=mend)
                done += shard["bytes"]
                bar.update(done)
        for file in self.folder.glob(f".{self.name}-*.jsonl.new"):
            file.unlink()

    def refuse_other_limit(self, limit: int | None) -> None:
        """A resource of which a limit left out the rest is not taken up again: its rows would come twice."""
        cut = next((entry["limit"] for entry in self.resources.values() if entry.get("limit")), None)
        if cut is not None and (limit is None or limit > cut):
            mend = "give another --out-dir"
            raise ChronosError(f"this folder was fetched with --limit {cut}", where=self.folder, mend=mend)

    def add(self, source: Source, resources: list[Resource], limit: int | None) -> dict[str, Any]:
        """Turn what is new into rows and commit them."""
        seen = self._seen() if source.changes else None
        writer = _Writer(self.folder, self.name, len(self.shards))
        changed = {}
        try:
            one = len(resources) == 1  # then its rows are counted, or else the resources
            with Progress(
                None if one else len(resources), "turning into rows", unit="rows" if one else ""
            ) as bar:
                for number, resource in enumerate(resources):
                    before, cut = writer.rows, False
                    for row in _rows(source, resource, seen):
                        if cut := limit is not None and writer.rows >= limit:
                            break
                        writer.write(row)
                        bar.update(writer.rows if one else number, rows=writer.rows)
                    entry = _entry(
                        resource, writer.rows - before, limit if cut and not source.changes else None
                    )
                    changed |= self._changed(resource.key, entry)
            fresh = writer.close()
        except BaseException:
            writer.discard()
            raise
        if changed:
            self.resources |= changed
            self.shards += fresh
            self._commit(source, fresh)
        return self._summary(source, writer.rows)

    def _changed(self, key: str, entry: dict[str, Any]) -> dict[str, Any]:
        """The entry by its key; nothing for a feed that says what it said before."""
        old = self.resources.get(key)
        if old and old["sha256"] == entry["sha256"] and not entry["rows"]:
            return {}
        return {key: entry | {"rows": entry["rows"] + (old["rows"] if old else 0)}}

    def _seen(self) -> set[bytes]:
        """Marks of the rows that are there, by address, title and text."""
        seen = set()
        for shard in self.shards:
            with open(self.folder / shard["file"], "rb") as file:
                seen |= {_mark(json.loads(line)) for line in file}
        return seen

    def _commit(self, source: Source, fresh: list[dict[str, Any]]) -> None:
        data = {"version": 1, "name": self.name, "licence": source.licence}
        write_json(self.path, data | {"resources": self.resources, "shards": self.shards})
        for shard in fresh:
            path = self.folder / shard["file"]
            os.replace(_new(path), path)
        fsync_directory(self.folder)

    def _summary(self, source: Source, added: int) -> dict[str, Any]:
        totals = {key: sum(shard[key] for shard in self.shards) for key in ("rows", "bytes")}
        files = [shard["file"] for shard in self.shards]
        found = {"source": self.name, "added": added, **totals, "resources": len(self.resources)}
        return found | {"files": files, "licence": source.licence, "out_dir": str(self.folder)}


def _has(data: Any, fields: Mapping[str, type]) -> bool:
    return isinstance(data, dict) and all(isinstance(data.get(key), kind) for key, kind in fields.items())


def _entry(resource: Resource, rows: int, cut: int | None) -> dict[str, Any]:
    record = resource.record
    entry = {"url": record.url, "bytes": record.bytes, "sha256": record.sha256, "etag": record.etag}
    entry |= {"modified": record.modified, "date": record.date, "licence": resource.licence, "rows": rows}
    return entry | ({"limit": cut} if cut is not None else {}) | {"more": resource.more}


def _rows(source: Source, resource: Resource, seen: set[bytes] | None) -> Iterator[Row]:
    """The cleaned rows of a resource that hold text and were not seen before."""
    for row in source.rows(resource):
        row = {key: clean(value) for key, value in row.items()}
        if not row["text"].strip():
            continue
        for value in row.values():
            refuse_surrogates(value, f"{resource.path}: {row['title'][:80]}")
        if seen is not None:
            if (mark := _mark(row)) in seen:
                continue
            seen.add(mark)
        yield row


def _mark(row: Row) -> bytes:
    told = "\0".join((row["url"], row["title"], row["text"]))
    return hashlib.sha256(told.encode()).digest()[:16]


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


class _Writer:
    """Rows into shards beside their names, a new one every SHARD bytes."""

    def __init__(self, folder: Path, name: str, first: int):
        self.folder, self.name, self.number = folder, name, first
        self.file: BinaryIO | None = None
        self.shards: list[dict[str, Any]] = []
        self.rows = 0

    def write(self, row: Row) -> None:
        """Add one row."""
        data = json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"
        if self.file is None:
            self._open()
        with explain_os_errors(self.folder):
            self.file.write(data)  # type: ignore[union-attr]
        self.sha256.update(data)
        shard = self.shards[-1]
        shard["rows"] += 1
        shard["bytes"] += len(data)
        self.rows += 1
        if shard["bytes"] >= SHARD:
            self._shut()

    def _open(self) -> None:
        path = self.folder / f"{self.name}-{self.number:05d}.jsonl"
        self.number += 1
        with explain_os_errors(path):
            self.file = open(_new(path), "wb")  # noqa: SIM115 (closed by _shut)
        self.sha256 = hashlib.sha256()
        self.shards.append({"file": path.name, "rows": 0, "bytes": 0, "sha256": ""})

    def _shut(self) -> None:
        if self.file is not None:
            with explain_os_errors(self.folder):
                self.file.flush()
                os.fsync(self.file.fileno())
                self.file.close()
            self.file = None
            self.shards[-1]["sha256"] = self.sha256.hexdigest()

    def close(self) -> list[dict[str, Any]]:
        """Finish the last shard; what was written, for the manifest."""
        self._shut()
        return self.shards

    def discard(self) -> None:
        """Leave nothing behind."""
        if self.file is not None:
            self.file.close()
        for shard in self.shards:
            _new(self.folder / shard["file"]).unlink(missing_ok=True)
