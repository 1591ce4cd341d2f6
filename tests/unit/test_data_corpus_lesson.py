"""The lesson's numbers on near-duplicates are its command's, and say what the lesson says."""

import json

from chronos.data.corpus import measure, near


def test_the_results_file_is_what_the_command_measures():
    assert json.loads((measure.RESULTS / "near.json").read_text()) == json.loads(
        json.dumps(measure.measure())
    )


def test_what_the_lesson_says_of_them():
    bands, rows = near.banding(0.8)
    assert (bands, rows) == (21, 6)
    assert round(near.found(0.8, bands, rows), 3) == 0.998 and round(near.found(0.5, bands, rows), 2) == 0.28
    found = json.loads((measure.RESULTS / "near.json").read_text())["found"]
    assert all(abs(row["met"] - row["formula"]) < 0.08 for row in found)
    assert all(row["left_out"] < 0.02 for row in found if row["jaccard"] < 0.68)
    assert all(row["left_out"] > 0.99 for row in found if row["jaccard"] > 0.9)
