"""`python 06-evaluation/report.py` is `chronos report`. It holds no code of its own."""

import sys

try:
    from chronos.cli import main
except ModuleNotFoundError as missing:
    sys.exit(
        f"{missing.name} is not installed: run `make setup`, then `.venv/bin/python 06-evaluation/report.py`"
    )

if __name__ == "__main__":
    sys.exit(main(["report", *sys.argv[1:]]))
