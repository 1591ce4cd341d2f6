"""A life as a picture: attributes as coloured bands over the steps, and what each question rests on.

Plain SVG, the same bytes on every machine; it needs no library and measures nothing. Used by measure.py.
"""

from collections.abc import Iterable
from xml.sax.saxutils import escape

from chronos.data.cairo.book import ATTRIBUTES
from chronos.data.cairo.life import Life
from chronos.data.lives import Question

WIDTH, LEFT, BAND, GAP, ROW = 880, 96, 22, 8, 20
COLOURS = "#8ecae6 #ffb703 #90be6d #f4978e #cdb4db #adb5bd #f9c74f #84a98c #e5989b #a9def9".split()
STYLE = "font-family:sans-serif;font-size:11px"


def draw(life: Life, asked: Iterable[Question]) -> str:
    """The SVG text. A dot is a sentence that says the value; each question's thread ends at its evidence."""
    asked = list(asked)
    scale = (WIDTH - LEFT - 10) / (life.end - life.first + 1)
    height = 20 + len(ATTRIBUTES) * (BAND + GAP) + 2 * GAP + BAND + ROW * len(asked) + 10
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" style="{STYLE}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
    ]
    place = {t: LEFT + (t - life.first + 0.5) * scale for t in range(life.first, life.end + 1)}
    middle: dict[int, float] = {}  # of the band in which an event is drawn
    y = 12.0
    for name in ATTRIBUTES:
        out += _band(life, name, y, place, scale)
        middle |= dict.fromkeys(life.record(life.end).logs[name].times, y + BAND / 2)
        y += BAND + GAP
    out.append(_text(LEFT - 8, y + 15, "told once", "end"))
    for fact in life.record(life.end).facts:
        middle[fact.t] = y + BAND / 2
        out.append(_dot(place[fact.t], middle[fact.t], 4, "#d62828"))
    y += BAND + 2 * GAP
    for i, question in enumerate(asked):
        out += _threads(question, y + i * ROW, place, middle)
    for i, question in enumerate(asked):  # after all threads, which would cross it
        out += _question(question, y + i * ROW)
    return "\n".join([*out, "</svg>"]) + "\n"


def _band(life: Life, name: str, y: float, place: dict[int, float], scale: float) -> list[str]:
    log = life.record(life.end).logs[name]
    out = [_text(LEFT - 8, y + 15, name, "end")]
    starts = [0, *log.turns] if log.times else []
    for start, end in zip(starts, [*starts[1:], None]):
        x = place[log.times[start]] - scale / 2
        until = place[log.times[end]] - scale / 2 if end is not None else WIDTH - 10.0
        value = life.values[name][log.values[start]].form(life.languages[0])
        colour = COLOURS[log.values[start] % len(COLOURS)]
        out.append(f'<rect x="{x:.1f}" y="{y}" width="{until - x:.1f}" height="{BAND}" fill="{colour}"/>')
        if until - x > 6.2 * len(value) + 4:
            out.append(_text(x + 4, y + 10, value))
    return out + [_dot(place[t], y + BAND - 5, 1.8, "#333") for t in log.times]


def _threads(question: Question, y: float, place: dict[int, float], middle: dict[int, float]) -> list[str]:
    """From a question's line up to each event that it rests on."""
    out = []
    for t in question.evidence:
        path = f"M{LEFT} {y + 10:.1f} H{place[t]:.1f} V{middle[t]:.1f}"
        out.append(f'<path d="{path}" fill="none" stroke="#d62828" stroke-width="0.8" opacity="0.7"/>')
        out.append(_dot(place[t], middle[t], 3, "#d62828"))
    return out


def _question(question: Question, y: float) -> list[str]:
    said = f"{question.question} {question.answer}"
    size = f'width="{5.3 * len(said) + 8:.1f}" height="{ROW - 4}"'
    ground = f'<rect x="{LEFT}" y="{y + 2:.1f}" {size} fill="white"/>'
    return [_text(LEFT - 8, y + 13, question.kind, "end"), ground, _text(LEFT + 4, y + 13, said)]


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
