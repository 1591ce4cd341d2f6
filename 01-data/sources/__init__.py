"""Where text comes from beyond a person's own files: made here, or fetched when somebody asks for it.

Nothing in this package touches the network but `fetching.fetch`, and that only when it is called by name.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chronos.data.documents import Document
from chronos.data.stories import stories


@dataclass(frozen=True)
class Generated:
    """Text that needs no network: `documents(**options)` makes it."""

    about: str
    licence: str
    size: str
    documents: Callable[..., Iterator[Document]]


def _stories(count: int = 8000, seed: int = 0) -> Iterator[Document]:
    return (Document(text, "stories") for text in stories(count, seed))


def _python_docs(installed: bool = False) -> Iterator[Document]:
    from chronos.data.sources.python_docs import documents  # here, for that module also runs by itself

    return documents(installed)


PYTHON_DOCS = "documentation of the Python that runs it: differs by version, never behind a published number"

GENERATED = {
    "stories": Generated("small tales with questions, from a seed", "yours", "0.4 kB a story", _stories),
    "python-docs": Generated(PYTHON_DOCS, "PSF License 2", "2.6 MB in Python 3.11", _python_docs),
}
