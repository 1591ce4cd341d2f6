"""`python 07-inference/chat.py` is `chronos chat`. It holds no code of its own."""

import sys

try:
    from chronos.cli import main
except ModuleNotFoundError as missing:
    again = ".venv/bin/python 07-inference/chat.py"
    sys.exit(f"{missing.name} is not installed: run `make setup`, then `{again}`")

if __name__ == "__main__":
    sys.exit(main(["chat", *sys.argv[1:]]))
