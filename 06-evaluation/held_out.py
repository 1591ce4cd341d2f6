"""The loss of a model on text it has not seen: a file, a folder, rows, or token shards.

The measure is training's own (`chronos.training.validate`), so that both report the same number for the same
tokens. Run it as `chronos eval --model-path DIR --data PATH`.
"""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from chronos.console import ChronosError, Progress, warn
from chronos.data.documents import read_documents
from chronos.memory.model import Model
from chronos.settings import threads
from chronos.tokenization.shard_writer import write_shards
from chronos.tokenization.shards import INDEX, TokenShards
from chronos.tokenization.tokenizer import Tokenizer
from chronos.training.lanes import Lanes
from chronos.training.validate import validate

PIECE = 1 << 20  # tokens that are held at once while counting


class Watched:
    """Token shards that tell a progress bar how much of them has been read."""

    def __init__(self, shards: TokenShards, bar: Progress):
        self.shards, self.bar, self.done = shards, bar, 0
        self.trained_tokens, self.trained_bytes = shards.trained_tokens, shards.trained_bytes
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.shards)

    def pairs(self, start: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """`TokenShards.pairs`, counted."""
        with self._lock:
            self.done += length
            self.bar.update(self.done)
        return self.shards.pairs(start, length)


def evaluate(model: Model, tokenizer: Tokenizer, path: Path, *, limit: int = 0) -> dict[str, float | int]:
    """{"nats_per_token", "bits_per_byte", "tokens", "bytes"} of the model on the text or shards at `path`.

    The first token is given, every other one is predicted, in windows of the model's context; `limit`
    predicts no more than so many. `bytes` is the UTF-8 length of the text, `tokens` how many stand for it,
    so bits_per_byte = nats_per_token · tokens / bytes / ln 2. What is marked as untrained (a row's
    instruction) is read, but neither predicted nor counted.
    """
    with open_tokens(path, tokenizer) as shards:
        return measure(model, shards, limit=limit)


def measure(model: Model, shards: TokenShards, *, limit: int = 0) -> dict[str, float | int]:
    """`evaluate` on shards that are open already."""
    with Lanes(threads()) as lanes, Progress(len(shards), "evaluating", unit="tokens") as bar:
        found = validate(model, Watched(shards, bar), lanes, limit=limit)
    return {
        "nats_per_token": found["nats_per_token"],
        "bits_per_byte": float(found["bits_per_byte"]),
        "tokens": shards.trained_tokens,
        "bytes": shards.trained_bytes,
    }


@contextmanager
def open_tokens(path: Path, tokenizer: Tokenizer) -> Iterator[TokenShards]:
    """The token shards at `path`, or temporary ones of the text there.

    Raises ChronosError for shards of another tokenizer, and for a text of fewer than two tokens.
    """
    path = Path(path)
    if (path / INDEX).is_file():
        yield _checked(TokenShards(path, tokenizer.hash), tokenizer, path)
        return
    if parts := sorted(part.parent.name for part in path.glob(f"*/{INDEX}")):
        mend = f"give one of its parts, such as {path / parts[-1]}"
        raise ChronosError("this folder holds several sets of token shards", where=path, mend=mend)
    with tempfile.TemporaryDirectory(prefix="chronos-eval-") as folder:
        write_text(path, tokenizer, Path(folder) / "shards")
        yield _checked(TokenShards(Path(folder) / "shards", tokenizer.hash), tokenizer, path)


def write_text(path: Path, tokenizer: Tokenizer, out: Path) -> None:
    """Encode the documents at `path` as training does: <end> after each where there are several."""
    write_shards(read_documents(path), tokenizer, out)


def count_tokens(shards: TokenShards, vocabulary: int) -> np.ndarray:
    """How often each id occurs, (E,) int64, in one pass with flat memory."""
    counts = np.zeros(vocabulary, np.int64)
    for start in range(0, len(shards), PIECE):
        ids = shards.read(start, min(PIECE, len(shards) - start))
        counts += np.bincount(ids, minlength=vocabulary)
    return counts


def _checked(shards: TokenShards, tokenizer: Tokenizer, path: Path) -> TokenShards:
    if len(shards) < 2:
        raise ChronosError("too short to be measured", where=path, expected="2 tokens", got=len(shards))
    if tokenizer.kind == "char":  # the only kind that does not know every text
        unknown = int(count_tokens(shards, tokenizer.vocab_size)[tokenizer.unk])
        if unknown:
            warn(f"{path}: {unknown:,} of {len(shards):,} characters are unknown to the tokenizer (<unk>)")
    return shards
