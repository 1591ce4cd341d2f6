"""A model directory in float32 → the same model in 16, 8, 4 or 2 bits a weight, and what that costs in loss.

How weights lie in the file is 04's. Run it as `chronos quantize --model-path DIR --out-dir DIR --qtype Q8_0`.
"""

from pathlib import Path
from typing import Any

from chronos import native
from chronos.architecture.layers import Module
from chronos.console import ChronosError, warn
from chronos.evaluation.held_out import measure, open_tokens
from chronos.memory.modeldir import (
    GGUF,
    SAFETENSORS,
    Loaded,
    load_model,
    parameter_count,
    quantize_model,
    save_model,
)
from chronos.memory.recall.modelfiles import is_recaller, load_recaller, save_recaller
from chronos.native.blocks import FORMATS

FILES = {"config.json", "tokenizer.json", SAFETENSORS, GGUF}


def quantize_directory(source: Path, out_dir: Path, qtype: str, data: Path | None = None) -> dict[str, Any]:
    """Write `out_dir` with every matrix of `source` in `qtype`; what is refused writes nothing.

    Returns {"model_path", "qtype", "bytes_before", "bytes_after" (of the weights' files), "bits_per_weight"
    (over all weights), "other" (name → type of matrices whose rows do not divide into blocks)} and, with
    `data` (a text or token shards), {"nats_before", "nats_after", "rise"} in nats per token.

    Raises ChronosError for weights that are quantized already, an unknown type, and an `out_dir` that is
    `source` or holds anything that is not a model directory's.
    """
    if qtype not in (*native.FORMATS, "INT4"):
        expected = " or ".join((*native.FORMATS, "INT4"))
        raise ChronosError("unknown qtype", expected=expected, got=repr(qtype))
    refuse_place(source, out_dir)
    remembers = is_recaller(source)
    if remembers and data is not None:
        mend = "leave --data away, and measure it with `chronos eval --suite cairo`"
        raise ChronosError("a recall model has no loss of texts", where=source, mend=mend)
    loaded = _recaller(source) if remembers else load_model(source)
    if loaded.qtype:
        mend = "give the float32 model that it was made from"
        raise ChronosError(f"this model is quantized already ({loaded.qtype})", where=source, mend=mend)
    small, other = quantize_model(loaded.model, qtype)
    types = {name: p.type for name, p in small.named() if isinstance(p, native.QuantTensor)}
    if len(other) == len(types):
        warn(f"no matrix has rows of whole {qtype} blocks, {FORMATS[qtype][0]} weights: all get a wider type")
    losses = {}
    if data is not None:
        with open_tokens(data, loaded.tokenizer) as shards:
            before, after = (measure(model, shards)["nats_per_token"] for model in (loaded.model, small))
        losses = {"nats_before": before, "nats_after": after, "rise": after - before}
    (save_recaller if remembers else save_model)(out_dir, small, loaded.tokenizer)
    return {
        "model_path": str(out_dir),
        "qtype": qtype,
        "bytes_before": (source / SAFETENSORS).stat().st_size,
        "bytes_after": next(out_dir.glob("model.*")).stat().st_size,
        "bits_per_weight": 8 * weight_bytes(small) / parameter_count(small),
        "other": {name: types[name] for name in other},
        **losses,
    }


def _recaller(source: Path) -> Loaded:
    """A recall model as other models are loaded."""
    found = load_recaller(source)
    quantized = [p.type for _, p in found.net.named() if isinstance(p, native.QuantTensor)]
    return Loaded(found.net, found.tokenizer, source, quantized[0] if quantized else None)


def weight_bytes(model: Module) -> int:
    """Bytes of all weights as they lie in memory, quantized or not."""
    return sum(p.data.nbytes for _, p in model.named())


def refuse_place(source: Path, out_dir: Path) -> None:
    """Only an empty or missing directory, or an earlier model's, may be written; never the model itself."""
    if out_dir.exists() and source.exists() and out_dir.samefile(source):
        raise ChronosError(
            "a model cannot be quantized onto itself", where=out_dir, mend="give another --out-dir"
        )
    if not out_dir.exists():
        return
    names = {path.name for path in out_dir.iterdir()} if out_dir.is_dir() else {out_dir.name}
    if not out_dir.is_dir() or (names and ("config.json" not in names or names - FILES)):
        odd = min(names - FILES, default=min(names))
        mend = "give a new or an empty folder, or an earlier model to replace"
        raise ChronosError("this is not a model directory", where=out_dir, got=odd, mend=mend)
