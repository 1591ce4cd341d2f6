"""`python 07-inference/quantize.py` is `chronos quantize`. It holds no code of its own."""

import sys

try:
    from chronos.cli import main
except ModuleNotFoundError as missing:
    again = ".venv/bin/python 07-inference/quantize.py"
    sys.exit(f"{missing.name} is not installed: run `make setup`, then `{again}`")

if __name__ == "__main__":
    sys.exit(main(["quantize", *sys.argv[1:]]))
