"""`python 05-training/train.py --resume` is `chronos train --resume`. It holds no code of its own."""

import sys

try:
    from chronos.cli import main
except ModuleNotFoundError as missing:
    sys.exit(
        f"{missing.name} is not installed: run `make setup`, then `.venv/bin/python 05-training/train.py`"
    )

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
