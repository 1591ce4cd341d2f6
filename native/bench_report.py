"""What bench_native.py found, for people: a table, what is asked for and what is reached, a picture.

Measures nothing; works on the figures that `bench` returns or a file holds.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from chronos.console import table

Row = tuple[object, ...]
PEERS = {"ggml": "ggml", "torch": "PyTorch", "numpy": "NumPy"}
MISSING = "–"


def _one(case: str) -> bool:
    return "n=1" in case and "memory" not in case


def _memory(case: str) -> bool:
    return "memory" in case


def _many(case: str) -> bool:
    return "n=1 " not in case and "n=1," not in case


def _prefill(case: str) -> bool:
    return "n=64" in case or "n=512" in case


# What is asked for: in which cases, on one thread or on all, at least how many times as fast as whom.
TARGETS: tuple[tuple[str, Callable[[str], bool], bool, str, dict[str, float]], ...] = (
    ("one row, from a cache", _one, False, "ggml", {"Q4_0": 2.5, "Q8_0": 2.2, "Q2_K": 2.0}),
    ("one row, from memory", _memory, False, "ggml", {"Q4_0": 1.25, "Q2_K": 1.25}),
    ("one row, from memory", _memory, True, "limit",
     dict.fromkeys(("Q4_0", "Q8_0", "Q2_K", "INT4", "F16", "BF16"), 0.95)),
    ("8 to 512 rows", _many, False, "ggml", {"Q4_0": 2.2, "Q8_0": 2.2, "Q2_K": 1.4}),
    ("64 and 512 rows", _prefill, False, "limit", {"Q4_0": 0.6, "Q8_0": 0.6}),
    ("all", lambda case: True, False, "Q4_0", {"INT4": 0.97}),
)  # fmt: skip


def targets(result: dict) -> list[dict[str, Any]]:
    """Each target and the worst of its cases: "cases", "type", "threads", "against", "asked", "reached", …

    Those without a figure (a peer that is not there, one core) are left out.
    """
    found = []
    for cases, within, all_threads, peer, asked in TARGETS:
        for qtype, least in asked.items():
            ratios = result["ratios"].get(peer, {}).get(qtype, {})
            here = [c for c in ratios if within(c) and c.endswith(", 1 thread") != all_threads]
            if here:
                case = min(here, key=lambda c: ratios[c])
                row = {"cases": cases, "type": qtype, "threads": "all" if all_threads else "1"}
                row |= {"against": peer, "asked": least, "reached": ratios[case]}
                found.append(row | {"case": case.split(",")[0]})
    return found


def rows(result: dict) -> tuple[tuple[str, ...], list[Row]]:
    """The columns and rows of the table: a case each, ours, how many times faster, the share of the limit."""
    peers = [name for name in PEERS if name in result["peers"]]
    columns = ("type", "weights and rows of x", "µs", "GB/s", "GFLOP/s", *(f"× {PEERS[p]}" for p in peers))
    found: list[Row] = []
    for qtype, cases in result["ours"].items():
        for case, ours in cases.items():
            ratios = [result["ratios"].get(name, {}).get(qtype, {}).get(case) for name in (*peers, "limit")]
            *times, share = (MISSING if ratio is None else f"{ratio:.2f}" for ratio in ratios)
            found.append((qtype, case, ours["us"], ours["gb_s"], ours["gflop_s"], *times, share))
    return (*columns, "of limit"), found


def show(result: dict) -> None:
    """Print everything as tables."""
    about = result["machine"]
    table(f"products on {about['cpu']} ({about['isa']}), {'; '.join(about['peers'])}", *rows(result))
    show_targets(result["targets"])


def show_targets(found: list[dict[str, Any]]) -> None:
    """Print what `targets` found as a table."""
    names = ("cases", "type", "threads", "against", "asked", "reached", "case")
    columns = ("rows of x", "type", "threads", "against", "asked", "reached at worst", "where")
    limit = "limit: reading for n=1, else multiply-adds in registers"
    table(f"asked for ({limit})", columns, [tuple(target[name] for name in names) for target in found])


def write(path: Path, command: str, found: dict[str, Any]) -> None:
    """Write figures as JSON, with the command that made them."""
    path.write_text(json.dumps({"command": command} | found, indent=1, ensure_ascii=False) + "\n")


def save(result: dict, path: Path, command: str) -> None:
    """Write the figures as JSON, with the command that made them, and a picture beside it."""
    write(path, command, {name: value for name, value in result.items() if name != "table"})
    path.with_suffix(".svg").write_text(picture(result))


# ---- the picture -------------------------------------------------------------------------------------------

COLORS = {"ours": "#4477aa", "ggml": "#ee8866", "torch": "#bbbbbb", "numpy": "#dddd99"}
NAMES = {"ours": "Chronos"} | PEERS
WIDE, HIGH, ACROSS, LEFT, TOP, BAR = 330, 210, 3, 46, 70, 9


def picture(result: dict) -> str:
    """For each type, on one thread: how much of the hardware's limit everybody reaches, as bars in SVG."""
    types = list(result["ours"])
    width, height = LEFT + ACROSS * WIDE, TOP + -(-len(types) // ACROSS) * HIGH + 10
    drawn = [_panel(result, qtype, i % ACROSS, i // ACROSS) for i, qtype in enumerate(types)]
    names = [name for name in NAMES if name == "ours" or name in result["peers"]]
    legend = [
        f'<rect x="{LEFT + 110 * i}" y="36" width="12" height="12" fill="{COLORS[name]}"/>'
        f'<text x="{LEFT + 18 + 110 * i}" y="47">{NAMES[name]}</text>'
        for i, name in enumerate(names)
    ]
    about = f"Share of the hardware's limit, one thread, {result['machine']['cpu']}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-size="12"'
            ' font-family="sans-serif">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text x="{LEFT}" y="22" font-size="14">{about}: reading for one row, else multiply-adds</text>',
            *legend,
            *drawn,
            "</svg>\n",
        ]
    )


def _panel(result: dict, qtype: str, column: int, row: int) -> str:
    x, y, tall = LEFT + column * WIDE, TOP + row * HIGH, HIGH - 60
    base, lines = y + 20 + tall, [f'<text x="{x}" y="{y + 12}" font-weight="bold">{qtype}</text>']
    for share in (0, 50, 100):
        at = base - tall * share / 100
        dashes = ' stroke-dasharray="4"' if share == 100 else ""
        lines.append(f'<path d="M{x} {at:.0f}h{WIDE - 40}" stroke="#999999"{dashes}/>')
        lines.append(f'<text x="{x - 4}" y="{at + 4:.0f}" text-anchor="end" font-size="10">{share}%</text>')
    for i, (label, shares) in enumerate(_groups(result, qtype)):
        left = x + 8 + i * (WIDE - 44) / 6
        for j, (name, share) in enumerate(shares):
            tip = tall * min(share, 1.1)
            place = f'x="{left + j * BAR:.0f}" y="{base - tip:.1f}" width="{BAR - 1}" height="{tip:.1f}"'
            lines.append(f'<rect {place} fill="{COLORS[name]}"/>')
        for j, word in enumerate(label.split(" ", 1)):
            lines.append(f'<text x="{left:.0f}" y="{base + 13 + 12 * j}" font-size="10">{word}</text>')
    return "\n".join(lines)


def _groups(result: dict, qtype: str) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    """The cases of one thread that are drawn: a label of two words or lines, and everybody's share."""
    for case, ours in result["ours"][qtype].items():
        size, threads = case.split(", ")
        if threads != "1 thread" or (not size.startswith("4096²") and size != "512² n=1"):
            continue
        spent = {"ours": ours["us"]} | {
            name: held[qtype][case]["us"]
            for name, held in result["peers"].items()
            if name in COLORS and case in held.get(qtype, {})
        }
        limit = result["limit"].get(qtype, {}).get(case, {"us": min(spent.values())})["us"]
        shares = [(name, limit / spent[name]) for name in COLORS if name in spent]
        size = size.replace(" from memory", "").replace("4096²", "memory") if "memory" in size else size
        yield f"{size.split()[1]} {size.split()[0]}", shares
