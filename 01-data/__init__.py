"""Stage 01, data: where text comes from, read with care or invented from a seed.

Reads and writes files of text; knows nothing of tokens or models. Try `chronos data stories --n 3`.
"""
