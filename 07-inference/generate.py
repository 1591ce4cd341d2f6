"""`python 07-inference/generate.py` is `chronos generate`. It holds no code of its own."""

import sys

try:
    from chronos.cli import main
except ModuleNotFoundError as missing:
    again = ".venv/bin/python 07-inference/generate.py"
    sys.exit(f"{missing.name} is not installed: run `make setup`, then `{again}`")

if __name__ == "__main__":
    sys.exit(main(["generate", *sys.argv[1:]]))
