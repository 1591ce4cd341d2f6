"""`chronos train`: its flags, and how they become a configuration."""

import argparse
from pathlib import Path
from typing import Any

from chronos.console import UsageError, say, warn, warn_without_effect

FLAGS = {  # flag → (setting, type, help)
    "--steps": ("train.steps", int, "optimizer steps"),
    "--epochs": ("train.epochs", float, "passes over the text (instead of --steps)"),
    "--seed": ("train.seed", int, "of initialization, order and dropout"),
    "--batch-size": ("train.batch_size", int, "rows per forward pass"),
    "--accumulation-steps": ("train.accumulation_steps", int, "forward passes per update"),
    "--starting-lr": ("train.lr", float, "peak learning rate"),
    "--min-lr": ("train.min_lr", float, "learning rate at the end of the schedule"),
    "--grad-clip": ("train.grad_clip", float, "largest gradient norm (0: off)"),
    "--max-length": ("model.context", int, "tokens in a sequence"),
    "--context-dim": ("model.width", int, "width of the residual stream"),
}
QTYPES = ("Q4_0", "Q8_0", "Q2_K", "INT4", "INT4_32", "INT4_64", "INT4_128", "F16", "BF16")
RECIPES = {"chronos": "live"}  # preset → the experiment that is meant where none is named
OF_TEXTS = ("--epochs", "--batch-size", "--accumulation-steps")


def register(subparsers: Any) -> None:
    """Add the command to the parser of the face."""
    p = subparsers.add_parser(
        "train", help="train a model on a text or on prepared shards",
        description="Train a model. Any setting can follow as key.sub=value, such as model.layers=6.",
    )  # fmt: skip
    p.add_argument(
        "--train", metavar="PATH",
        help="text file, folder or rows (.txt .md .json .jsonl), or `stories`; a folder of lives for chronos",
    )  # fmt: skip
    p.add_argument(
        "--shards", type=Path, metavar="DIR", help="prepared shards, as `chronos tokenizer prepare` makes"
    )
    p.add_argument(
        "--preset", metavar="NAME", help="the model's shape: a file of configs/model (default gpt)"
    )
    p.add_argument(
        "--experiment", metavar="NAME", help="a file of configs/experiment, or the path of a YAML file"
    )
    p.add_argument(
        "--out-dir", type=Path, metavar="DIR", help="the run's directory (default artifacts/05-training)"
    )
    p.add_argument(
        "--resume", nargs="?", const="", metavar="PATH", help="go on with the run at PATH or --out-dir"
    )
    p.add_argument("--resume-from-ckpt", metavar="PATH", help="the same, by the path of a checkpoint")
    p.add_argument("--override-scheduling", action="store_true", help="let --resume change learning rates")
    p.add_argument(
        "--model-path", type=Path, metavar="DIR", help="start from these weights, with fresh moments"
    )
    p.add_argument("--tokenizer-path", metavar="PATH", help="use this tokenizer.json instead of training one")
    p.add_argument("--disable-lr-schedule", action="store_true", help="keep the learning rate constant")
    p.add_argument("--quantize-on-complete", action="store_true", help="also write a quantized model")
    p.add_argument("--qtype", choices=QTYPES, help="its format (default Q4_0)")
    p.add_argument("--amp", action="store_true", help="bf16 products, if the CPU has them [train.amp]")
    for flag, (setting, kind, text) in FLAGS.items():
        p.add_argument(flag, type=kind, help=f"{text} [{setting}]")
    p.add_argument("overrides", nargs="*", metavar="key.sub=value", help="any setting")
    p.set_defaults(run=run)
    shown = subparsers.add_parser(
        "config", help="print the configuration that the layers resolve to, as YAML"
    )
    shown.add_argument("--preset", metavar="NAME")
    shown.add_argument("--experiment", metavar="NAME")
    shown.add_argument("overrides", nargs="*", metavar="key.sub=value", help="any setting")
    shown.set_defaults(run=run_config)


def run_config(args: argparse.Namespace) -> dict[str, Any]:
    """Print a resolved configuration."""
    from chronos.training.config import as_mapping, config_text, resolve

    experiment = args.experiment or RECIPES.get(args.preset)
    config = resolve(preset=args.preset, experiment=experiment, overrides=args.overrides)
    say(config_text(config).rstrip())
    return as_mapping(config)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Start or resume a run, as the flags say."""
    from chronos.training.run import Source, default_run, resume, start

    _warn_of_idle_flags(args)
    flags, overrides = _settings(args)
    place = _resume_place(args)
    out = args.out_dir or place or default_run()
    if place is not None and (out / "config.yaml").exists():
        from chronos.training.config import parse_overrides

        ignored = [
            f for f in ("train", "shards", "experiment", "preset") if getattr(args, f) and not args.out_dir
        ]
        for name in ignored:
            warn(f"--{name} has no effect on a run that is resumed")
        changes = {**flags, **parse_overrides(overrides)}
        result = resume(out, changes, reschedule=args.override_scheduling)
    else:
        if place is not None:
            say(f"no run in {out} yet: starting afresh")
        config = _resolve(args, flags, overrides)
        result = start(config, Source(args.train, args.shards, args.model_path), out)
    if args.quantize_on_complete:
        result = {**result, "quantized_path": _quantize(Path(result["model_path"]), args.qtype or "Q4_0")}
    _tell(result)
    return result


def _resolve(args: argparse.Namespace, flags: dict[str, Any], overrides: list[str]) -> Any:
    from chronos.training.config import resolve

    if args.train and args.shards:
        raise UsageError("--train and --shards exclude each other")
    experiment = args.experiment or RECIPES.get(args.preset)
    if experiment is None and not args.train and not args.preset:
        experiment = "default"
    config = resolve(preset=args.preset, experiment=experiment, overrides=overrides, flags=flags)
    if config.recall:
        warn_without_effect(args.given, OF_TEXTS, "lives are drawn by recall.*, words are counted in them")
    return config


def _settings(args: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Flags as dotted settings, and the key=value words (one of which --resume may have taken)."""
    flags: dict[str, Any] = {}
    for flag, (setting, _, _) in FLAGS.items():
        value = getattr(args, flag[2:].replace("-", "_"))
        if value is not None:
            flags[setting] = value
    if args.epochs is not None and args.steps is None:
        flags["train.steps"] = 0
    if args.amp:
        flags["train.amp"] = True
    if args.disable_lr_schedule:
        flags["train.schedule"] = "constant"
    if args.tokenizer_path:
        flags |= {"tokenizer.kind": "file", "tokenizer.path": args.tokenizer_path}
    overrides = list(args.overrides)
    if args.resume and "=" in args.resume and not Path(args.resume).exists():
        overrides.append(args.resume)
        args.resume = ""
    return flags, overrides


def _resume_place(args: argparse.Namespace) -> Path | None:
    """The run directory that --resume means: given as a run or as one of its checkpoints; None without it."""
    from chronos.training.run import default_run

    given = args.resume or args.resume_from_ckpt
    if not given:
        return (args.out_dir or default_run()) if args.resume is not None else None
    path = Path(given)
    if path.name.startswith("step-"):
        path = path.parent.parent
    if not (path / "config.yaml").exists():
        raise UsageError("no run to resume", where=path, expected="a run directory or one of its checkpoints")
    return path


def _warn_of_idle_flags(args: argparse.Namespace) -> None:
    if args.qtype and not args.quantize_on_complete:
        warn("--qtype has no effect without --quantize-on-complete")
    if args.override_scheduling and args.resume is None and args.resume_from_ckpt is None:
        warn("--override-scheduling has no effect without --resume")


def _quantize(path: Path, qtype: str) -> str:
    from chronos.memory.modeldir import load_model, quantize_model, save_model
    from chronos.memory.recall.modelfiles import PRESET, described, load_recaller, save_recaller

    out = path.with_name(f"{path.name}-{qtype}")
    if described(path)["model"].get("preset") == PRESET:
        found = load_recaller(path)
        save_recaller(out, quantize_model(found.net, qtype)[0], found.tokenizer)
    else:
        loaded = load_model(path)
        save_model(out, quantize_model(loaded.model, qtype)[0], loaded.tokenizer)
    say(f"quantized: {out}")
    return str(out)


def _tell(result: dict[str, Any]) -> None:
    if "accuracy" in result:
        judged, tool = f"{100 * result['accuracy']:.1f}% right about unseen lives", "query"
    else:
        nats, bits = result["val_nats"], result["bits_per_byte"]
        judged, tool = f"validation {nats:.4f} nats/token, {bits:.4f} bits/byte", "chat"
    say(f"done: {result['steps']} steps, {judged}, {result['tokens_per_s']:,.0f} tokens/s")
    say(f"model: {result['model_path']}")
    say(f"try:   chronos {tool} --model-path {result['model_path']}")
