"""`chronos model init|show`: an initialised model with its self-test, and what a model directory holds."""

import argparse
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, say, table
from chronos.files import write_json
from chronos.settings import artifacts


def register(subparsers: Any) -> None:
    """Add the commands to the parser of the face."""
    top = subparsers.add_parser("model", help="initialise a model and test its state; show a model directory")
    actions = top.add_subparsers(dest="action", required=True, metavar="ACTION")
    init = actions.add_parser("init", help="write an initialised model after testing that its state carries")
    init.add_argument(
        "--config", type=Path, metavar="YAML", help="a mapping of model settings (default: gpt)"
    )
    init.add_argument("--tokenizer-path", type=Path, metavar="PATH", help="default artifacts/03-tokenization")
    init.add_argument("--out-dir", type=Path, metavar="DIR", help="default artifacts/04-memory")
    init.add_argument("--seed", type=int, default=1337)
    init.set_defaults(run=run_init)
    show = actions.add_parser("show", help="parameters, FLOPs and format of a model directory")
    show.add_argument("--model-path", type=Path, required=True, metavar="DIR")
    show.set_defaults(run=run_show)


def run_init(args: argparse.Namespace) -> dict[str, Any]:
    """Assemble, self-test and save a model: of texts, or of preset `chronos`."""
    from chronos.memory.recall.modelfiles import PRESET
    from chronos.tokenization.factory import load_tokenizer

    tokenizer = load_tokenizer(args.tokenizer_path or artifacts() / "03-tokenization")
    settings = _read_settings(args.config) if args.config else {}
    made = _recaller if settings.get("preset") == PRESET else _text_model
    return made(settings, tokenizer, args.seed, args.out_dir or artifacts() / "04-memory")


def _text_model(settings: dict[str, Any], tokenizer: Any, seed: int, out: Path) -> dict[str, Any]:
    from chronos.memory.config import config_from
    from chronos.memory.model import Model
    from chronos.memory.modeldir import save_model
    from chronos.memory.selftest import TOLERANCE, self_test

    model = Model(config_from({**settings, "vocabulary": tokenizer.vocab_size}), seed)
    errors = self_test(model)
    title = "State: the same logits whole, in chunks, token by token, padded"
    _refuse_differences(title, errors, TOLERANCE, "the state does not carry")
    save_model(out / "model", model, tokenizer)
    return _noted(out, errors, TOLERANCE, _cost(model.config))


def _recaller(settings: dict[str, Any], tokenizer: Any, seed: int, out: Path) -> dict[str, Any]:
    from chronos.memory.recall.config import RecallConfig
    from chronos.memory.recall.modelfiles import save_recaller
    from chronos.memory.recall.net import RecallNet
    from chronos.memory.recall.selftest import TOLERANCE, self_test
    from chronos.settings import build

    if tokenizer.kind != "words":
        mend = "make one: `chronos tokenizer train --kind words`"
        raise ChronosError("memory needs a tokenizer of words", got=tokenizer.kind, mend=mend)
    shape = {name: value for name, value in settings.items() if name != "preset"}
    net = RecallNet(build(RecallConfig, {**shape, "vocabulary": tokenizer.vocab_size}, "model"), seed)
    errors = self_test(net, tokenizer)
    title = "Reads: the same in company and alone, and whatever comes later"
    _refuse_differences(title, errors, TOLERANCE, "reads depend on what they must not")
    save_recaller(out / "model", net, tokenizer)
    return _noted(out, errors, TOLERANCE, _parts(net))


def _refuse_differences(title: str, errors: dict[str, float], tolerance: float, what: str) -> None:
    table(title, ("way", "difference"), errors.items())
    if wrong := {way: error for way, error in errors.items() if not error <= tolerance}:
        raise ChronosError(what, expected=f"differences ≤ {tolerance}", got=wrong)


def _noted(
    out: Path, errors: dict[str, float], tolerance: float, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    write_json(out / "selftest.json", {"tolerance": tolerance, "differences": errors, "cost": rows})
    say(f"initialised model: {out / 'model'}")
    return {"model_path": str(out / "model"), "differences": errors, "cost": rows}


def _parts(net: Any) -> list[dict[str, Any]]:
    """Parameters of a recall model by its parts, as they are named in the code."""
    from chronos.memory.modeldir import sizes

    parts: dict[str, int] = {}
    for name, size in sizes(net).items():
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + size
    rows = [{"part": part, "parameters": n} for part, n in [*parts.items(), ("all", sum(parts.values()))]]
    c = net.config
    title = f"{c.lower} + {c.upper} layers, {c.hops} reads, width {c.width}, keys of {c.key}"
    table(title, ("part", "parameters"), [tuple(row.values()) for row in rows])
    return rows


def _read_settings(path: Path) -> dict[str, Any]:
    """The model settings of a YAML file: the mapping itself, or what stands under `model`."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ChronosError(f"cannot read the configuration: {error}", where=path) from error
    settings = found.get("model", found) if isinstance(found, dict) else found
    if not isinstance(settings, dict):
        raise ChronosError("a configuration is a mapping of settings", where=path, got=repr(settings))
    return settings


def run_show(args: argparse.Namespace) -> dict[str, Any]:
    """Print what a model directory holds."""
    from chronos.memory.config import config_dict
    from chronos.memory.modeldir import load_model
    from chronos.memory.recall.modelfiles import PRESET, described

    if described(args.model_path)["model"].get("preset") == PRESET:
        return _show_recaller(args.model_path)
    loaded = load_model(args.model_path)
    rows = _cost(loaded.model.config)
    say(f"weights: {loaded.qtype or 'float32'}, tokenizer: {loaded.tokenizer.kind}")
    return {"config": config_dict(loaded.model.config), "weights": loaded.qtype or "F32", "cost": rows}


def _show_recaller(path: Path) -> dict[str, Any]:
    from chronos import native
    from chronos.memory.recall.modelfiles import load_recaller
    from chronos.settings import dump

    found = load_recaller(path)
    kinds = [p.type for _, p in found.net.named() if isinstance(p, native.QuantTensor)]
    rows, weights = _parts(found.net), kinds[0] if kinds else None
    say(f"weights: {weights or 'float32'}, tokenizer: {found.tokenizer.kind}")
    return {"config": dump(found.net.config), "weights": weights or "F32", "cost": rows}


def _cost(config: Any) -> list[dict[str, Any]]:
    from chronos.architecture.cost import table as cost_table

    rows = cost_table(config, config.vocabulary)
    title = f"Cost of {config.layers} layers, width {config.width}, context {config.context}"
    columns = ("part", "parameters", "FLOP a token, forward")
    table(title, columns, [tuple(row.values()) for row in rows])
    return rows
