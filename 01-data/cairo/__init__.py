"""The Cairo timeline: a seeded life to remember, its questions, and a reader that knows its templates.

One sentence each hour, t = 1 … N. It is made up, of anybody's life but nobody's. Begin with life.py, then
asking.py and reader.py; try `chronos data cairo --events 10000 --seed 0 --out-dir DIR`.
"""
