"""The recall model: a small network that knows how to remember, and reads and writes an episodic store.

`load_recaller(folder)`, then `ingest` and `ask`; the parts are in the modules.
"""

from chronos.memory.recall.answers import Cited
from chronos.memory.recall.modelfiles import load_recaller, save_recaller
from chronos.memory.recall.recaller import Answer, IngestStats, Moment, Recaller
from chronos.memory.recall.storememory import Without

__all__ = [
    "Answer",
    "Cited",
    "IngestStats",
    "Moment",
    "Recaller",
    "Without",
    "load_recaller",
    "save_recaller",
]
