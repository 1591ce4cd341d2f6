"""How vocabulary buys shorter sequences: the numbers and the picture of this stage's lesson.

Learns on stories, measures on stories not learned from and on another kind of English, the licence.
Run it in the repository as `python -m chronos.tokenization.measure` (the picture needs matplotlib).
"""

import platform
import time
from pathlib import Path
from typing import Any

from chronos.console import table
from chronos.data.stories import stories
from chronos.files import write_json
from chronos.tokenization import compiled_core
from chronos.tokenization.factory import train_tokenizer
from chronos.tokenization.tokenizer import Tokenizer

RESULTS = Path(__file__).parent / "results"
LICENCE = Path(__file__).parent.parent / "LICENSE"
VOCABS = (356, 400, 512, 640, 768, 900)
LEARN, TEST, SEED = 2000, 300, 1


def bytes_per_token(tokenizer: Tokenizer, texts: list[str]) -> float:
    """UTF-8 bytes that one token stands for, on average."""
    return sum(len(text.encode()) for text in texts) / sum(len(tokenizer.encode(text)) for text in texts)


def sizes() -> list[dict[str, float]]:
    """Bytes per token for each vocabulary; the same on every machine."""
    told = list(stories(LEARN + TEST, SEED))
    licence = [LICENCE.read_text(encoding="utf-8")]
    rows = []
    for vocab in VOCABS:
        tokenizer = train_tokenizer("bpe", told[:LEARN], vocab)
        known, other = (bytes_per_token(tokenizer, texts) for texts in (told[LEARN:], licence))
        rows.append({"vocab": vocab, "stories": known, "licence": other})
    return rows


def speed() -> dict[str, Any]:
    """Seconds and rates on this machine, one thread, for the stories of `sizes`."""
    told = list(stories(LEARN, SEED))
    megabytes = sum(len(text) for text in told) / 1e6
    began = time.perf_counter()
    tokenizer = train_tokenizer("bpe", told, VOCABS[-1], threads=1)
    trained = time.perf_counter()
    tokens = sum(len(tokenizer.encode(text)) for text in told)
    done = time.perf_counter()
    return {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "engine": "C" if compiled_core.usable("gpt2") else "Python",
        "megabytes": megabytes,
        "train_seconds": trained - began,
        "encode_mb_per_s": megabytes / (done - trained),
        "encode_tokens_per_s": tokens / (done - trained),
    }


def draw(rows: list[dict[str, float]], path: Path) -> None:
    """Bytes per token over the size of the vocabulary, for both texts."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "chronos"}
    figure, axes = pyplot.subplots(figsize=(7, 3))
    vocabs = [row["vocab"] for row in rows]
    axes.plot(vocabs, [row["stories"] for row in rows], "o-", label="stories (the kind it learned from)")
    axes.plot(vocabs, [row["licence"] for row in rows], "s-", label="a licence (another kind of English)")
    axes.set_xlabel("vocabulary")
    axes.set_ylabel("bytes per token")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Measure, write results/compression.json and .svg, and show the table."""
    result = {"command": "python -m chronos.tokenization.measure", "sizes": sizes(), "speed": speed()}
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / "compression.json", result)
    draw(result["sizes"], RESULTS / "compression.svg")
    table(
        "Bytes per token",
        ("vocabulary", "stories", "licence"),
        [tuple(row.values()) for row in result["sizes"]],
    )


if __name__ == "__main__":
    main()
