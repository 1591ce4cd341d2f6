"""From files to a corpus: blocks of rows, duplicates, quality, mixes, resumable and the same everywhere."""
