"""Where the reading of a source stopped: how many events, and a hash of them, so that it can go on there.

It compares what is read now with what was read then and writes nothing itself: its cursor goes to the store
in the same flush as the events (`EventStore.flush`).
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from chronos.console import ChronosError
from chronos.memory.episodes.journal import Cursor


class Timed(Protocol):
    """What can be read: something that happened, its int64 microseconds, and the name of its source."""

    time_us: int
    text: str
    source: str


Event = TypeVar("Event", bound=Timed)


class Bookmark:
    """One source, known by `name`, and the cursor that an earlier reading left, if any.

    mark = Bookmark(name, store.cursor(name))
    for batch in batched(mark.unread(events)):
        …                                           # append, then
        store.flush({name: mark.cursor(written)})
    """

    def __init__(self, name: str, before: Cursor | None = None):
        self.name, self.before = name, before
        self.read = 0  # events read, in this and earlier readings
        self._hash = hashlib.sha256()

    def unread(self, events: Iterable[Event]) -> Iterator[Event]:
        """The events that no earlier reading has seen. All of the source's have to be given, from its first.

        ChronosError, before any is yielded, where those that were read before have changed or are missing.
        """
        wanted = self.before.offset if self.before else 0
        if wanted == 0:
            self._agree()
        for event in events:
            self._hash.update(f"{event.time_us} {event.source} {len(event.text)} {event.text}\n".encode())
            self.read += 1
            if self.read > wanted:
                yield event
            elif self.read == wanted:
                self._agree()
        if self.read < wanted:
            raise _changed(self.name, f"{wanted} events that were read before", self.read)

    def _agree(self) -> None:
        if self.before and self.before.hash != self._hash.hexdigest():
            raise _changed(self.name, f"the same first {self.before.offset} events as before", "others")

    def cursor(self, written: int, done: bool = False) -> Cursor:
        """What to leave in the store: the events read so far; `written` were stored in this reading."""
        earlier = self.before.count if self.before else 0
        return Cursor(self._hash.hexdigest(), self.read, earlier + written, done)


def _changed(name: str, expected: str, got: object) -> ChronosError:
    mend = "read it into a new memory, or give it another name if it is another text"
    what = "this source was read before and has changed since, or is read with other options"
    return ChronosError(what, where=name, expected=expected, got=got, mend=mend)
