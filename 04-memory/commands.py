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
    """Assemble, self-test and save a model."""
    from chronos.memory.config import config_from
    from chronos.memory.model import Model
    from chronos.memory.modeldir import save_model
    from chronos.memory.selftest import TOLERANCE, self_test
    from chronos.tokenization.factory import load_tokenizer

    tokenizer = load_tokenizer(args.tokenizer_path or artifacts() / "03-tokenization")
    settings = _read_settings(args.config) if args.config else {}
    model = Model(config_from({**settings, "vocabulary": tokenizer.vocab_size}), args.seed)
    errors = self_test(model)
    table(
        "State: the same logits whole, in chunks, token by token, padded",
        ("way", "difference"),
        errors.items(),
    )
    if wrong := {way: error for way, error in errors.items() if not error <= TOLERANCE}:
        raise ChronosError("the state does not carry", expected=f"differences ≤ {TOLERANCE}", got=wrong)
    out = args.out_dir or artifacts() / "04-memory"
    save_model(out / "model", model, tokenizer)
    rows = _cost(model.config)
    write_json(out / "selftest.json", {"tolerance": TOLERANCE, "differences": errors, "cost": rows})
    say(f"initialised model: {out / 'model'}")
    return {"model_path": str(out / "model"), "differences": errors, "cost": rows}


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

    loaded = load_model(args.model_path)
    rows = _cost(loaded.model.config)
    say(f"weights: {loaded.qtype or 'float32'}, tokenizer: {loaded.tokenizer.kind}")
    return {"config": config_dict(loaded.model.config), "weights": loaded.qtype or "F32", "cost": rows}


def _cost(config: Any) -> list[dict[str, Any]]:
    from chronos.architecture.cost import table as cost_table

    rows = cost_table(config, config.vocabulary)
    title = f"Cost of {config.layers} layers, width {config.width}, context {config.context}"
    columns = ("part", "parameters", "FLOP a token, forward")
    table(title, columns, [tuple(row.values()) for row in rows])
    return rows
