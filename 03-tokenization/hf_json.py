"""The Hugging Face `tokenizer.json`: written so that `tokenizers` gives our ids, read with suspicion.

Between a file and a Layout; it knows no tokenizer class. What would change ids and is not known here is
refused by its name, and so is what could not give every text back.
"""

from pathlib import Path
from typing import Any

from chronos.console import ChronosError
from chronos.files import read_json
from chronos.tokenization.added_tokens import AddedToken
from chronos.tokenization.layout import (
    BYTE_TO_CHAR,
    SPECIALS,
    WORD_SPECIALS,
    Layout,
    Refused,
    check,
    check_added_number,
    check_ids,
    numbered,
    shown,
)
from chronos.tokenization.pretokenize import REGEXES
from chronos.tokenization.units import DROPPED, REGEX, REPLACED, fold, is_text

FILE_NAME = "tokenizer.json"

_FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
_NO_WORDS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
_MODEL = {
    "type": "BPE",
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
}
_NEVER_MET = ("unk_token", "fuse_unk", "byte_fallback")  # settings for unknown bytes, and there are none
_ONLY_ADD = ("ByteLevel", "TemplateProcessing", "BertProcessing", "RobertaProcessing")
# tiktoken's own spelling of GPT-4's pattern, with possessive quantifiers: the same words.
_TIKTOKEN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)
# How a word is folded, as nearly as `tokenizers` can say it (it has no case folding: it lowers).
_FOLDING = {
    "type": "Sequence",
    "normalizers": [
        {"type": "NFC"},
        {"type": "Lowercase"},
        {"type": "Replace", "pattern": {"Regex": f"[{DROPPED}]"}, "content": ""},
        *({"type": "Replace", "pattern": {"String": a}, "content": b} for a, b in REPLACED.items()),
    ],
}
REGEX_NAMES = {regex: name for name, regex in REGEXES.items()} | {_TIKTOKEN: "gpt4"}


def document(layout: Layout) -> dict[str, Any]:
    """The content of tokenizer.json, as `tokenizers` would save it."""
    by_id = sorted(layout.vocab, key=layout.vocab.__getitem__)
    vocab = {token: layout.vocab[token] for token in by_id}
    if layout.kind == "char":
        split = {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}
        model = {"type": "WordLevel", "vocab": vocab, "unk_token": SPECIALS[3]}
        return _document(layout, split, {"type": "Fuse"}, model)
    if layout.kind == "words":
        split = {"type": "Split", "pattern": {"Regex": REGEX}, "behavior": "Removed", "invert": True}
        model = {"type": "WordLevel", "vocab": vocab, "unk_token": SPECIALS[3]}
        model["chronos"] = {"kind": "words", "surfaces": layout.surfaces}  # `tokenizers` passes it over
        return _document(layout, split, None, model) | {"normalizer": _FOLDING}
    words = {**_NO_WORDS, "use_regex": layout.pattern == "gpt2"}
    if layout.pattern not in ("gpt2", "none"):
        regex = {"Regex": REGEXES[layout.pattern]}
        split = {"type": "Split", "pattern": regex, "behavior": "Isolated", "invert": False}
        words = {"type": "Sequence", "pretokenizers": [split, words]}
    merges = [list(pair) for pair in layout.merges]
    model = {**_MODEL, "ignore_merges": layout.ignore_merges, "vocab": vocab, "merges": merges}
    return _document(layout, words, {**_NO_WORDS, "add_prefix_space": True, "use_regex": True}, model)


def _document(layout: Layout, pre_tokenizer: dict, decoder: dict | None, model: dict) -> dict[str, Any]:
    added = [
        {"id": token.id, "content": token.content, "single_word": False}
        | {flag: getattr(token, flag) for flag in _FLAGS[1:]}
        for token in sorted(layout.added)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": layout.normalizer} if layout.normalizer else None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": layout.post_processor,
        "decoder": decoder,
        "model": model,
    }


def read_layout(path: Path | str) -> Layout:
    """Read and check a tokenizer.json, or the one in a directory; ChronosError says what is wrong."""
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise ChronosError("no tokenizer here", where=path, mend="make one with: chronos tokenizer train")
    try:
        return parse(read_json(path))
    except Refused as error:
        mend = "take a byte-level BPE, or train one with: chronos tokenizer train"
        raise ChronosError(f"this tokenizer cannot be used ({error})", where=path, mend=mend) from None


def parse(whole: Any) -> Layout:
    """The Layout of a document; Refused names what damages it or what is not known here."""
    model = _field(whole, "model", dict)
    for name in ("truncation", "padding"):
        if whole.get(name) is not None:
            raise Refused(f"it sets {name!r}")
    kind = model.get("type", "BPE" if "merges" in model else None)  # older files name no type
    if kind == "WordLevel":
        return _words(whole, model) if "chronos" in model else _characters(whole, model)
    if kind != "BPE":
        raise Refused(f"model type {shown(kind)}")
    _check_model(model)
    added = _all_added(whole)
    layout = Layout(
        "bpe",
        _field(model, "vocab", dict),
        tuple(_merge(pair) for pair in _field(model, "merges", list)),
        added,
        _pattern(whole.get("pre_tokenizer")),
        model.get("ignore_merges") is True,
        _normalizer(whole.get("normalizer")),
        _post_processor(whole.get("post_processor")),
    )
    check(layout)
    untrained = not layout.merges and layout.pattern == "none" and document(layout) == document(raw_bytes())
    return raw_bytes() if untrained else layout


def raw_bytes() -> Layout:
    """The tokenizer that needs no training: five specials, then a token a byte, words never cut."""
    vocab = numbered([*SPECIALS, *BYTE_TO_CHAR])
    return Layout("bytes", vocab, added=specials(SPECIALS), pattern="none")


def characters(found: list[str]) -> Layout:
    """A token a character, after the five specials."""
    return Layout("char", numbered([*SPECIALS, *found]), added=specials(SPECIALS), pattern="")


def words(folded: list[str], surfaces: dict[str, str]) -> Layout:
    """A token a word, after the six specials; `surfaces`: how each is written."""
    changed = {word: surfaces[word] for word in folded if surfaces[word] != word}
    vocab = numbered([*WORD_SPECIALS, *folded])
    return Layout("words", vocab, added=specials(WORD_SPECIALS), pattern="", surfaces=changed)


def specials(names: tuple[str, ...]) -> tuple[AddedToken, ...]:
    """Special tokens that have the first ids."""
    return tuple(AddedToken(i, name) for i, name in enumerate(names))


def _characters(whole: dict, model: dict) -> Layout:
    vocab = _field(model, "vocab", dict)
    check_ids(vocab)
    tokens = sorted(vocab, key=vocab.__getitem__)[len(SPECIALS) :]
    if not tokens or any(len(token) != 1 or "\ud800" <= token <= "\udfff" for token in tokens):
        raise Refused("its words are not single characters")
    layout = characters(tokens)
    ours = document(layout)
    for name in ("normalizer", "pre_tokenizer", "post_processor"):
        if whole.get(name) != ours[name]:
            raise Refused(f"another {name}")
    if {**model, "vocab": vocab} != ours["model"] or layout.added != _all_added(whole):
        raise Refused(f"ids 0 to 4 are not {' '.join(SPECIALS)}, or its ids have gaps")
    return layout


def _words(whole: dict, model: dict) -> Layout:
    vocab = _field(model, "vocab", dict)
    check_ids(vocab)
    told = _field(model, "chronos", dict)
    if told.get("kind") != "words":
        raise Refused(f"the kind {shown(told.get('kind'))}")
    surfaces = _field(told, "surfaces", dict)
    found = sorted(vocab, key=vocab.__getitem__)[len(WORD_SPECIALS) :]
    for word in found:
        surface = surfaces.get(word, word)
        if not isinstance(surface, str) or not is_text(surface) or fold(surface) != word:
            raise Refused(f"the word {shown(word)} is not written {shown(surface)}")
    if stray := surfaces.keys() - vocab.keys():
        raise Refused(f"{shown(min(stray))} is written in some way and has no id")
    layout = words(found, {word: surfaces.get(word, word) for word in found})
    ours = document(layout)
    wrong = [name for name in ours if name not in ("model", "added_tokens") and whole.get(name) != ours[name]]
    if wrong:
        raise Refused(f"another {wrong[0]}")
    if model != ours["model"] or layout.added != _all_added(whole):
        names = " ".join(WORD_SPECIALS)
        raise Refused(
            f"ids 0 to {len(WORD_SPECIALS) - 1} are not {names}, or its words are not numbered in order"
        )
    return layout


def _field(mapping: Any, name: str, kind: type) -> Any:
    value = mapping.get(name) if isinstance(mapping, dict) else None
    if not isinstance(value, kind):
        raise Refused(f"no {kind.__name__} {name!r}")
    return value


def _list(mapping: dict, name: str) -> list[dict]:
    found = mapping.get(name) or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Refused(f"no list of objects {name!r}")
    return found


def _check_model(model: dict) -> None:
    for name, value in model.items():
        if name in ("vocab", "merges", "ignore_merges", *_NEVER_MET):
            continue
        if name not in _MODEL or (value or None) != (_MODEL[name] or None):
            raise Refused(f"another setting of model.{shown(name)[1:-1]}")


def _merge(pair: Any) -> tuple[str, str]:
    if isinstance(pair, str):  # the layout of tokenizers before 0.20
        pair = pair.split(" ")
    if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
        raise Refused(f"the merge {shown(pair)} is not a pair of tokens")
    return pair[0], pair[1]


def _all_added(whole: dict) -> tuple[AddedToken, ...]:
    found = _list(whole, "added_tokens")
    check_added_number(len(found))
    return tuple(map(_added, found))


def _added(token: dict) -> AddedToken:
    content = _field(token, "content", str)
    flags = {flag: token.get(flag, False) for flag in _FLAGS}
    if not all(isinstance(value, bool) for value in flags.values()) or flags.pop("single_word"):
        raise Refused(f"the added token {shown(content)} is a single_word, or a flag of it is no boolean")
    return AddedToken(token.get("id"), content, **flags)


def _normalizer(section: Any) -> str:
    names = [step.get("type") for step in _steps(section, "normalizers")]
    if names not in ([], ["NFC"]):
        raise Refused(f"the normalizer {shown(' '.join(map(str, names)))}")
    return names[0] if names else ""


def _post_processor(section: Any) -> Any:
    strange = [step for step in _steps(section, "processors") if step.get("type") not in _ONLY_ADD]
    if strange:
        raise Refused(f"the post_processor {shown(strange[0].get('type'))}")
    return section


def _pattern(section: Any) -> str:
    """The name of the pattern that a pre_tokenizer cuts by."""
    steps = _steps(section, "pretokenizers")
    level = steps.pop() if steps else {}
    if level.get("type") != "ByteLevel" or len(steps) > 1 or level.get("add_prefix_space", True) is not False:
        raise Refused(f"the pre_tokenizer {shown(level.get('type'))} is no ByteLevel without prefix space")
    if not steps:
        return "gpt2" if level.get("use_regex", True) else "none"
    split = steps[0]
    if split.get("type") != "Split" or level.get("use_regex", True):
        raise Refused(f"the pre_tokenizer {shown(split.get('type'))} before ByteLevel")
    whole_words = (
        ("Isolated", False),
        ("Removed", True),
    )  # what is not matched: nothing, every pattern covers
    if (split.get("behavior"), split.get("invert", False)) not in whole_words:
        raise Refused(f"a pre_tokenizer that splits {shown(split.get('behavior'))}")
    regex = split["pattern"].get("Regex") if isinstance(split.get("pattern"), dict) else None
    if regex not in REGEX_NAMES:
        raise Refused(f"the pre_tokenizer's pattern {shown(regex)}")
    return REGEX_NAMES[regex]


def _steps(section: Any, name: str) -> list[dict]:
    """The steps of a section: none for null, those of a Sequence, else the section itself."""
    if section is None:
        return []
    if not isinstance(section, dict):
        raise Refused(f"{shown(section)} among the {name}")
    return list(_list(section, name)) if section.get("type") == "Sequence" else [section]
