"""Panels in NumPy: the twin of pack.c, which lays 16 rows of blocks side by side, and back.

products.h draws the layout. Bytes are moved, nothing is computed; how products use them is C's.
"""

import numpy as np

from chronos.native.blocks import BLOCK, FORMATS, filled

PANEL = 16  # rows side by side


def step(qtype: str) -> tuple[int, int]:
    """Weights of a row and bytes of all 16 rows in one step of a panel."""
    return {"Q2_K": (256, 1344), "Q8_0": (64, 1088), "F16": (2, 64), "BF16": (2, 64)}.get(qtype, (64, 576))


def panel_bytes(qtype: str, shape: tuple[int, int]) -> int:
    """The bytes that the panels of a matrix (N, K) take."""
    weights, size = step(qtype)
    return -(-shape[0] // PANEL) * -(-filled(qtype, shape[1]) // weights) * size


def pack(qtype: str, data: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Blocks (nbytes,) of w (N, K) → panels (panel_bytes,) uint8."""
    n, k, (weights, size) = shape[0], filled(qtype, shape[1]), step(qtype)
    panels, steps = -(-n // PANEL), -(-k // weights)
    if not n or not k:
        return np.zeros(0, np.uint8)
    pieces = _pieces(qtype, data.reshape(n, -1), k)
    out = np.zeros((panels, steps, size), np.uint8)
    start = 0
    for unit, rows in pieces:  # rows (N, steps, bytes a step): `unit` bytes of each of 16 rows, then the next
        full = np.zeros((panels * PANEL, steps, rows.shape[2]), np.uint8)
        full[:n] = rows
        units = full.reshape(panels, PANEL, steps, -1, unit).transpose(0, 2, 3, 1, 4)
        end = start + rows.shape[2] * PANEL
        out[..., start:end] = units.reshape(panels, steps, -1)
        start = end
    return out.reshape(-1)


def unpack_rows(qtype: str, panels: np.ndarray, shape: tuple[int, int], rows: np.ndarray) -> np.ndarray:
    """Panels of w (N, K) → blocks (nbytes,) of its rows `rows` (R,)."""
    k, (weights, size) = filled(qtype, shape[1]), step(qtype)
    steps = -(-k // weights)
    if not len(rows) or not steps:
        return np.zeros(0, np.uint8)
    chosen = panels.reshape(-1, steps, size)[np.asarray(rows) // PANEL]
    pieces, start = [], 0
    for unit, width in _widths(qtype):
        part = chosen[..., start : start + width * PANEL].reshape(len(rows), steps, -1, PANEL, unit)
        picked = part[np.arange(len(rows)), :, :, np.asarray(rows) % PANEL]
        pieces.append(picked.reshape(len(rows), steps, width))
        start += width * PANEL
    return _blocks(qtype, pieces, k)


def _widths(qtype: str) -> list[tuple[int, int]]:
    """What a row has in a step: (bytes that stay together, bytes in all), piece by piece."""
    if qtype == "Q2_K":
        return [(2, 4), (4, 80)]
    if qtype in ("F16", "BF16"):
        return [(2 if qtype == "F16" else 4, 4)]
    return [(2, 4), (4, 64 if qtype == "Q8_0" else 32)]


def _pieces(qtype: str, rows: np.ndarray, k: int) -> list[tuple[int, np.ndarray]]:
    """Blocks (N, bytes of a row) → those pieces, each (N, steps, bytes)."""
    n, (weights, size) = len(rows), FORMATS[qtype]
    if qtype in ("F16", "BF16"):
        padded = np.zeros((n, -(-k // 2) * 4), np.uint8)
        padded[:, : 2 * k] = rows
        return [(*_widths(qtype)[0][:1], padded.reshape(n, -1, 4))]
    blocks = rows.reshape(n, k // weights, size)
    if qtype == "Q2_K":
        return [(2, blocks[..., 80:]), (4, blocks[..., :80])]
    repeat = weights // BLOCK  # INT4's scale stands once for each 32
    scales, codes = np.repeat(blocks[..., :2], repeat, axis=1), blocks[..., 2:].reshape(n, k // BLOCK, -1)
    if qtype == "Q8_0":
        codes = codes ^ 0x80
    if k // BLOCK % 2:
        scales, codes = (np.pad(a, ((0, 0), (0, 1), (0, 0))) for a in (scales, codes))
    return [(2, scales.reshape(n, -1, 4)), (4, codes.reshape(n, -1, 2 * codes.shape[2]))]


def _blocks(qtype: str, pieces: list[np.ndarray], k: int) -> np.ndarray:
    """Pieces of R rows → their blocks (nbytes,) uint8."""
    n, weights = len(pieces[0]), FORMATS[qtype][0]
    if qtype in ("F16", "BF16"):
        return np.ascontiguousarray(pieces[0].reshape(n, -1)[:, : 2 * k]).reshape(-1)
    if qtype == "Q2_K":
        return np.concatenate([pieces[1], pieces[0]], axis=2).reshape(-1)
    scales = pieces[0].reshape(n, -1, 2)[:, : k // BLOCK : weights // BLOCK]
    codes = pieces[1].reshape(n, -1, pieces[1].shape[2] // 2)[:, : k // BLOCK].reshape(n, k // weights, -1)
    return np.concatenate([scales, codes ^ 0x80 if qtype == "Q8_0" else codes], axis=2).reshape(-1)
