"""What the loaders of all sources share: a Source's description, its raw files, and the rows made of them.

A loader says which resources it needs, in order, and how one becomes rows; it writes nothing itself.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chronos.data.sources.download import Record, download, record_of
from chronos.data.sources.network import Network

Row = dict[str, str]  # {"text", "title", "url", "licence"}


@dataclass(frozen=True)
class Resource:
    """A fetched file and what its rows have in common. `more` (plain JSON) is kept in the manifest."""

    key: str
    path: Path
    record: Record
    url: str = ""
    title: str = ""
    licence: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A place that text can be fetched from.

    `collect(store, **options)` fetches what is not known yet and yields it; `rows(resource)` reads it.
    `options` maps each option of `collect` to a line of help. A source that `changes` (a feed) is asked
    again at every run, and only rows that are new are added.
    """

    about: str
    licence: str
    size: str
    collect: Callable[..., Iterator[Resource]]
    rows: Callable[[Resource], Iterator[Row]]
    options: Mapping[str, str]
    robots: bool = True
    delay: float = 1.0  # seconds between two requests
    changes: bool = False


class Store:
    """The raw files of one folder, and which of them have become rows already."""

    def __init__(self, folder: Path, net: Network, known: dict[str, Any]):
        self.folder, self.net, self.known = folder, net, known

    def path(self, key: str) -> Path:
        """Where a resource's raw file lies: a readable name that no two keys share and that leads nowhere."""
        plain = re.sub(r"[^A-Za-z0-9.-]+", "_", key).lstrip(".")[-80:]
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:12]}-{plain}"

    def get(self, key: str, address: str, *, limit: int, robots: bool = True, **told: Any) -> Resource:
        """A resource, fetched from `address` unless it is there. `limit` in bytes."""
        path = self.path(key)
        record = download(self.net, address, path, limit=limit, robots=robots)
        assert record is not None  # only a conditional request brings nothing
        return Resource(key, path, record, **told)

    def get_if_changed(self, key: str, address: str, *, limit: int, **told: Any) -> Resource:
        """A resource as it is now: asked for again, but sent again only if it changed."""
        path = self.path(key)
        before = record_of(path) if key in self.known else None
        record = download(self.net, address, path, limit=limit, changed_since=before) or before
        assert record is not None
        return Resource(key, path, record, **told)
