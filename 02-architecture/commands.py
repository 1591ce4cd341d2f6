"""`chronos architecture check`: the gradient of every op against finite differences."""

import argparse
from pathlib import Path
from typing import Any

from chronos.console import ChronosError, say, table
from chronos.files import write_json
from chronos.settings import artifacts


def register(subparsers: Any) -> None:
    """Add the commands to the parser of the face."""
    top = subparsers.add_parser("architecture", help="check the gradients of all ops")
    actions = top.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="every op's gradient against finite differences in float64")
    check.add_argument("--out-dir", type=Path, metavar="DIR", help="default artifacts/02-architecture")
    check.set_defaults(run=run_check)


def run_check(args: argparse.Namespace) -> dict[str, Any]:
    """Check all gradients and write gradients.json."""
    from chronos.architecture.gradcheck import TOLERANCE, check_all

    out = args.out_dir or artifacts() / "02-architecture"
    errors = check_all()
    table("Gradients: largest relative error against finite differences", ("op", "error"), errors.items())
    result = {"tolerance": TOLERANCE, "errors": errors}
    write_json(out / "gradients.json", result)
    wrong = [name for name, error in errors.items() if not error <= TOLERANCE]
    if wrong:
        raise ChronosError(f"the gradient of {', '.join(wrong)} is wrong", expected=f"error ≤ {TOLERANCE}")
    say(f"all {len(errors)} gradients agree within {TOLERANCE:g}: {out / 'gradients.json'}")
    return result
