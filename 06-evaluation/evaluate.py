"""`python 06-evaluation/evaluate.py` is `chronos eval`. It holds no code of its own."""

import sys

try:
    from chronos.cli import main
except ModuleNotFoundError as missing:
    again = ".venv/bin/python 06-evaluation/evaluate.py"
    sys.exit(f"{missing.name} is not installed: run `make setup`, then `{again}`")

if __name__ == "__main__":
    sys.exit(main(["eval", *sys.argv[1:]]))
