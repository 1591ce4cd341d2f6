"""Which model a command means: the one named, else the one that `make` trained.

It only finds; reading and checking a model directory is stage 04's.
"""

from pathlib import Path

from chronos.console import ChronosError
from chronos.memory.modeldir import Loaded, load_model
from chronos.training.run import default_run, model_path_of


def default_model_path() -> Path:
    """The model directory of the default run. Raises ChronosError, naming `make`, while there is none."""
    path = model_path_of(default_run())
    if not (path / "config.json").is_file():
        mend = "run `make` to train one, or give --model-path DIR"
        raise ChronosError("there is no model yet", where=path, mend=mend)
    return path


def find_model(given: Path | None) -> Loaded:
    """Load the model directory `given`, or the default one."""
    return load_model(given if given is not None else default_model_path())
