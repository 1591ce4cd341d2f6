"""Chronos: a language model that remembers, in seven numbered stages.

The face of the project: this package holds what all stages share (console, files, settings) and the
command line. Run it as `chronos --help` or `python -m chronos --help`.
"""

__version__ = "0.1.0"

# The stages in their order, folder by folder: a stage imports only those before it.
STAGES = (
    ("data", "01-data"),
    ("architecture", "02-architecture"),
    ("tokenization", "03-tokenization"),
    ("memory", "04-memory"),
    ("training", "05-training"),
    ("evaluation", "06-evaluation"),
    ("inference", "07-inference"),
)
