"""The numbers of the lesson are those of its JSON file, and those that are no timings can be had again."""

import json
import re

import pytest

from chronos.tokenization import measure


@pytest.fixture(scope="module")
def result():
    return json.loads((measure.RESULTS / "compression.json").read_text())


def test_the_results_file_is_what_the_command_measures(result):
    assert result["sizes"] == measure.sizes()


def test_the_table_of_the_lesson_says_the_same(root, result):
    text = (root / "03-tokenization" / "README.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- result -->\n(.*?)<!-- /result -->", text, re.DOTALL)[1]
    said = [[float(cell) for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    assert said == [
        [row["vocab"], round(row["stories"], 2), round(row["licence"], 2)] for row in result["sizes"]
    ]


def test_bytes_per_token_by_hand():
    raw = measure.train_tokenizer("char", ["né"])
    assert measure.bytes_per_token(raw, ["né", "n"]) == 4 / 3
