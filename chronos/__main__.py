"""`python -m chronos` is the `chronos` command; an older Python than 3.11 hears so in one line."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  (the rest of the package would be a syntax error there)
    sys.exit("error: Chronos needs Python 3.11 to 3.14; run `make setup`, then `.venv/bin/chronos`")

from chronos.cli import main

if __name__ == "__main__":
    sys.exit(main())
