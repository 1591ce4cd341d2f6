"""The peers of `bench_tokenizer.py`: one of them in a process that trains or encodes when it is told to.

Runs under any interpreter that has the peer; it needs nothing of Chronos and is never imported by it.
"""

import hashlib
import json
import struct
import sys
import time
from pathlib import Path


class Tiktoken:
    """OpenAI's encoder, with our merges as its ranks; it does not train."""

    def __init__(self, wish):
        import tiktoken

        model = json.loads(Path(wish["tokenizer"]).read_text(encoding="utf-8"))["model"]
        to_byte = {ord(character): byte for byte, character in enumerate(wish["alphabet"])}
        spelled = {
            token: token.translate(to_byte) for token in model["vocab"] if set(token) <= set(wish["alphabet"])
        }
        ranks = {text.encode("latin-1"): model["vocab"][token] for token, text in spelled.items()}
        special = {name: i for name, i in wish["specials"].items() if name.encode() in ranks}
        for name in special:
            del ranks[name.encode()]
        self.encoding = tiktoken.Encoding(
            "ours", pat_str=wish["pattern"], mergeable_ranks=ranks, special_tokens=wish["specials"]
        )

    def encode(self, documents):
        """The ids of each document."""
        return [self.encoding.encode_ordinary(document) for document in documents]


class Tokenizers:
    """Hugging Face's library, with our tokenizer.json."""

    def __init__(self, wish):
        import tokenizers

        self.library, self.wish = tokenizers, wish
        self.tokenizer = tokenizers.Tokenizer.from_file(wish["tokenizer"])

    def encode(self, documents):
        """The ids of each document."""
        encodings = self.tokenizer.encode_batch_fast(documents, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def train(self, documents):
        """Its merges, as pairs of tokens."""
        library, wish = self.library, self.wish
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = library.trainers.BpeTrainer(
            vocab_size=wish["vocab"],
            special_tokens=list(wish["specials"]),
            min_frequency=2,  # as ours
            initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(documents, trainer)
        return lambda: [list(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]


class Rustbpe:
    """nanochat's trainer, and its encoder with what it learned itself."""

    def __init__(self, wish):
        import rustbpe

        self.library, self.wish = rustbpe, wish
        self.tokenizer = None

    def encode(self, documents):
        """The ids of each document, numbered in its own way: bytes are 0 to 255."""
        if self.tokenizer is None:
            self.train(documents)
        return [self.tokenizer.encode(document) for document in documents]

    def train(self, documents):
        """What it learned, as spelled tokens in order."""
        tokenizer = self.tokenizer = self.library.Tokenizer()
        size = self.wish["vocab"] - len(self.wish["specials"])
        tokenizer.train_from_iterator(documents, size, pattern=self.wish["pattern"])
        letters = self.wish["alphabet"]
        ranks = sorted(tokenizer.get_mergeable_ranks(), key=lambda item: item[1])
        return lambda: ["".join(letters[byte] for byte in bytes(token)) for token, _ in ranks[256:]]


PEERS = {"tiktoken": Tiktoken, "tokenizers": Tokenizers, "rustbpe": Rustbpe}


def documents_of(wish):
    """The text, cut as our side cuts it."""
    data = Path(wish["text"]).read_bytes()
    return [data[start:end].decode("utf-8") for start, end in zip([0, *wish["ends"]], wish["ends"])]


def answer(peer, what, documents):
    """One round: seconds, and a digest of what came out (not timed)."""
    begun = time.perf_counter()
    made = getattr(peer, what)(documents)
    seconds = time.perf_counter() - begun
    if what == "train":
        return {"seconds": seconds, "merges": made()}
    digest, tokens = hashlib.sha256(), 0
    for ids in made:
        digest.update(struct.pack(f"<{len(ids)}i", *ids))
        tokens += len(ids)
    return {"seconds": seconds, "tokens": tokens, "sha256": digest.hexdigest()}


def work(wish):
    """Answer each line of standard input with one line."""
    peer, documents = PEERS[wish["peer"]](wish), documents_of(wish)
    for line in sys.stdin:
        print(json.dumps(answer(peer, line.strip(), documents)), flush=True)


if __name__ == "__main__":
    work(json.loads(sys.argv[1]))
