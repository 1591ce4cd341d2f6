"""Directories of GPT-2 and phi-2: vocab.bpe and encoder.json, or merges.txt and vocab.json elsewhere.

Beside them may stand added_tokens.json (phi-2's runs of spaces) and tokenizer_config.json (which of the added
tokens are special). Reads them into a Layout; writing goes to tokenizer.json alone. Used by `load_tokenizer`.
"""

import re
from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.files import explain_os_errors, read_json
from chronos.tokenization.added_tokens import AddedToken
from chronos.tokenization.layout import Layout, Refused, check, check_added_number, shown

NAMES = (("vocab.bpe", "encoder.json"), ("merges.txt", "vocab.json"))
MEND = "get the files again from where they came"
_END = "<|endoftext|>"  # in GPT-2's vocabulary, but a token that no text makes
_ROLES = ("bos_token", "eos_token", "pad_token", "mask_token")
_FLAGS = ("special", "lstrip", "rstrip", "normalized")


def find(folder: Path) -> tuple[Path, Path] | None:
    """The files of merges and vocabulary in a folder, None if there is no such pair."""
    for merges, vocab in NAMES:
        if (folder / merges).is_file() and (folder / vocab).is_file():
            return folder / merges, folder / vocab
    return None


def read_gpt2_files(folder: Path) -> Layout:
    """The Layout of such a directory, words cut by GPT-2's pattern; ChronosError names the file and line."""
    found = find(folder)
    if found is None:
        names = " or ".join(" + ".join(pair) for pair in NAMES)
        raise ChronosError("no tokenizer here", where=folder, expected=names)
    merges_file, vocab_file = found
    merges, first = read_merges(merges_file)
    vocab = _object(vocab_file)
    try:
        layout = Layout("bpe", vocab, tuple(merges), _added(folder, vocab))
        check(layout)
    except Refused as error:
        where = f"{merges_file}:{first + error.merge}" if error.merge is not None else vocab_file
        raise ChronosError(f"this tokenizer cannot be used ({error})", where=where, mend=MEND) from None
    return layout


def read_merges(path: Path) -> tuple[list[tuple[str, str]], int]:
    """The pairs of a merges file, and the number of the line on which the first stands."""
    with explain_os_errors(path):
        data = path.read_bytes()
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise ChronosError("this is not UTF-8", where=f"{path}:{line}", mend=MEND) from None
    lines = [line.removesuffix("\r") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    first = 1 if lines and lines[0].startswith("#version") else 0
    pairs = [tuple(line.split(" ")) for line in lines[first:]]
    for number, pair in enumerate(pairs, first + 1):
        if len(pair) != 2 or not all(pair):
            got = shown(" ".join(pair))
            raise ChronosError("not a merge", where=f"{path}:{number}", expected="two tokens", got=got)
    return pairs, first + 1


def _object(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise ChronosError("not a JSON object", where=path, got=type(content).__name__, mend=MEND)
    return content


def _added(folder: Path, vocab: dict[str, Any]) -> tuple[AddedToken, ...]:
    """Special tokens of the vocabulary and the tokens of added_tokens.json, in the order of their ids."""
    config = _object(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    told = _told(config, folder / "tokenizer_config.json")
    roles = {_content(config.get(role)) for role in _ROLES} | {_END}
    found: dict[str, Any] = {name: vocab[name] for name in roles if type(vocab.get(name)) is int}
    extra = folder / "added_tokens.json"
    found |= _object(extra) if extra.is_file() else {content: entry["id"] for content, entry in told.items()}
    check_added_number(len(found))
    for content, i in found.items():
        if type(i) is not int:
            raise ChronosError(f"the id of {shown(content)} is no integer", where=extra, mend=MEND)
    tokens = []
    for content in sorted(found, key=found.__getitem__):
        # Told or guessed: a named role, or <something>; runs of spaces are text.
        special = content in roles or content[:1] + content[-1:] in ("<>", "[]")
        flags = {"special": special, "normalized": not special, **told.get(content, {})}
        tokens.append(AddedToken(**{**flags, "id": found[content], "content": content}))
    return tuple(tokens)


def _content(role: Any) -> str:
    value = role.get("content") if isinstance(role, dict) else role
    return value if isinstance(value, str) else ""


def _told(config: dict[str, Any], path: Path) -> dict[str, dict[str, Any]]:
    """content → flags and id, from the configuration's `added_tokens_decoder`."""
    decoder = config.get("added_tokens_decoder") or {}
    told = {}
    for number, entry in decoder.items() if isinstance(decoder, dict) else ():
        if not (isinstance(entry, dict) and _content(entry) and re.fullmatch("[0-9]{1,9}", number)):
            raise ChronosError("damaged 'added_tokens_decoder'", where=path, got=shown(number), mend=MEND)
        if entry.get("single_word"):
            raise ChronosError(f"{shown(entry['content'])} is a single_word", where=path, mend=MEND)
        flags = {flag: entry[flag] is True for flag in _FLAGS if flag in entry}
        told[entry["content"]] = {**flags, "id": int(number)}
    return told
