"""Where a new run takes what it learns from; a word that both kinds of runs share.

It opens nothing: `text_run.py` and `recall/run.py` do.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """A text to prepare, or a folder of lives (`train`); prepared shards; and weights to start from."""

    train: str | None = None
    shards: Path | None = None
    model_path: Path | None = None
