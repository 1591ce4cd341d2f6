"""The lesson's numbers are those of its JSON file, and the JSON file is what its command gives."""

import json
import re

from chronos.data import measure


def test_the_results_file_is_what_the_command_measures():
    assert json.loads((measure.RESULTS / "guesses.json").read_text()) == measure.measure()


def test_the_table_of_the_lesson_says_the_same(root):
    kinds = json.loads((measure.RESULTS / "guesses.json").read_text())["kinds"]
    text = (root / "01-data" / "README.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- result -->\n(.*?)<!-- /result -->", text, re.DOTALL)[1]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    said = {row[0].strip("`"): row[2:] for row in rows}
    percent = "{:.0%}".format
    assert said == {
        kind: [f"{r['n']:,}", percent(r["common"]), percent(r["last"])] for kind, r in kinds.items()
    }


def test_careless_readers_are_counted_rightly():
    """Two stories by hand: `common` is right once in two, `last` where the last place named is the answer."""
    ask = [("person", "Where is Ida?", "Ida is in the barn.")]
    near = measure.Tale(1, "Ida was in the attic. Ida went to the barn.", ask)
    ask = [("person", "Where is Ben?", "Ben is in the attic.")]
    far = measure.Tale(1, "Ben was in the attic. Ida went to the barn.", ask)
    assert measure.guesses([near, far]) == {"person": {"n": 2, "common": 0.5, "last": 0.5}}
