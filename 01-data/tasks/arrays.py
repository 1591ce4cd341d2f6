"""Token arrays written row by row as .npy, whose header is completed at the end.

Two files of equal shape, inputs.npy and labels.npy; nothing else. Used by `registry.py`.
"""

from pathlib import Path
from typing import Any

import numpy as np

from chronos.data.tasks.example import Example
from chronos.files import sha256_file

_HEAD = 128  # bytes before the numbers, a multiple of 64 as the format asks


class ArrayFiles:
    """`with ArrayFiles(folder) as arrays: arrays.add(example)`; examples without arrays leave no file."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.files: dict[str, Any] = {}
        self.rows = self.length = 0

    def add(self, example: Example) -> None:
        """Append a row (T,) to both files; every row has the same T."""
        if example.inputs is None or example.labels is None:
            return
        self.rows, self.length = self.rows + 1, len(example.inputs)
        for name, row in (("inputs", example.inputs), ("labels", example.labels)):
            if name not in self.files:
                self.files[name] = open(self.folder / f"{name}.npy", "wb")  # noqa: SIM115 (closed below)
                self.files[name].write(bytes(_HEAD))
            self.files[name].write(row.astype("<i4").tobytes())

    def stats(self) -> dict[str, Any]:
        """For each file, complete by now, its shape and SHA-256."""
        return {
            name: {
                "file": f"{name}.npy",
                "shape": [self.rows, self.length],
                "sha256": sha256_file(self.folder / f"{name}.npy"),
            }
            for name in self.files
        }

    def _header(self) -> bytes:
        """Version 1.0 of the .npy format: magic, length, and a Python literal padded with spaces."""
        told = f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({self.rows}, {self.length}), }}"
        before = np.lib.format.magic(1, 0) + (_HEAD - 10).to_bytes(2, "little")
        return before + told.encode("ascii").ljust(_HEAD - 11) + b"\n"

    def __enter__(self) -> "ArrayFiles":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files.values():
            file.seek(0)
            file.write(self._header())
            file.close()
