"""Which model a command means: the one named, else the one that `make` trained, else the one that is shipped.

It only finds; reading and checking a model directory is stage 04's.
"""

from importlib.resources import files
from pathlib import Path

from chronos.console import ChronosError
from chronos.memory.modeldir import Loaded, load_model
from chronos.training.run import default_run, model_path_of


def shipped_model_path() -> Path:
    """A small model that remembers, quantized, which comes with stage 07 (its README: how it was made)."""
    return Path(str(files("chronos.inference") / "demo"))


def default_model_path() -> Path:
    """The model directory of the default run, or, while there is none, the one that is shipped.

    Raises ChronosError, naming `make`, where there is neither.
    """
    path, shipped = model_path_of(default_run()), shipped_model_path()
    found = next((place for place in (path, shipped) if (place / "config.json").is_file()), None)
    if found is None:
        mend = "run `make` to train one, or give --model-path DIR"
        raise ChronosError("there is no model yet", where=path, mend=mend)
    return found


def find_model(given: Path | None) -> Loaded:
    """Load the model directory `given`, or the default one."""
    return load_model(given if given is not None else default_model_path())
