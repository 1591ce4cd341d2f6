"""What the READMEs show is true: blocks run, tables and listings are current, links lead somewhere."""

import os
import re
import shlex
from pathlib import Path

import pytest

from chronos import cli
from chronos.console import ChronosError

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("01-data", "02-architecture", "03-tokenization", "04-memory", "05-training", "06-evaluation")
BELOW = ("01-data/corpus", "01-data/cairo", "01-data/tasks", "02-architecture/ops", "04-memory/episodes")
BELOW += ("04-memory/recall", "06-evaluation/live")
LESSONS = (*FOLDERS, "07-inference", "native", *BELOW)
REQUIRED = ["README.md", "ARCHITECTURE.md", *(f"{folder}/README.md" for folder in LESSONS)]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="session")
def files(load_tool):
    return load_tool("readme_files")


@pytest.fixture(scope="session")
def blocks(load_tool):
    return load_tool("readme_blocks")


@pytest.mark.parametrize("name", REQUIRED)
def test_readme_blocks_run(blocks, name, tmp_path):
    readme = ROOT / name
    if script := blocks.script_of(readme):
        assert script
        done = blocks.run_readme(readme, ROOT, tmp_path)
        assert done.returncode == 0, done.stderr


def test_every_readme_is_known(files):
    assert {path.relative_to(ROOT).as_posix() for path in files.readmes(ROOT)} == set(REQUIRED)


@pytest.mark.parametrize("name", REQUIRED)
def test_tables_and_listings_are_current(files, name):
    readme = ROOT / name
    current = files.render(readme, ROOT) == readme.read_text(encoding="utf-8")
    assert current, f"{name} is out of date; run `python tests/tools/readme_files.py`"


@pytest.mark.parametrize("folder", LESSONS)
def test_a_lesson_shows_its_files(folder):
    assert "<!-- files" in (ROOT / folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", REQUIRED)
def test_links_lead_somewhere(name):
    assert dead_links(ROOT / name) == []


@pytest.mark.parametrize("name", REQUIRED)
def test_shown_commands_are_understood(name):
    """Also those in blocks that are not run: their commands and flags exist."""
    assert misunderstood((ROOT / name).read_text(encoding="utf-8")) == []


def misunderstood(text: str) -> list[str]:
    """Lines of shell blocks that call `chronos` in a way that its parser refuses."""
    found, parser = [], cli.build_parser()
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            call = re.match(r"(?:\$ )?(?:\.venv[/\\](?:bin|Scripts)[/\\])?chronos (.*)", line)
            words = re.split(r" (?:[|;<>]|&&|2>)", call[1])[0] if call else ""
            try:
                if words and "--help" not in words:
                    parser.parse_args(cli.normalise(shlex.split(words.replace("\\", "/"), comments=True)))
            except ChronosError as error:
                found.append(f"{line}: {error}")
    return found


def dead_links(readme: Path) -> list[str]:
    """Relative links of a README, outside of its code, to files that are not there."""
    text = re.sub(r"^```.*?^```$", "", readme.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    targets = [target.partition("#")[0] for target in LINK.findall(text) if ":" not in target]
    return [target for target in targets if target and not (readme.parent / target).exists()]


# ---- the checks themselves can fail ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("a\nb\n", "a\nb", True),
        ("a  \nb\n", "a\nb", True),
        ("a\nb\n", "a", False),
        ("a\n", "b", False),
        ("a\n", "", False),
        ("", "", True),
        ("took 1.2 s, ok\n", "took … s, ok", True),
        ("took 1.2 s, no\n", "took … s, ok", False),
        ("a\nx\ny\nb\n", "a\n…\nb", True),
        ("a\nb\n", "a\n…\nb", True),
        ("a\nx\nc\n", "a\n…\nb", False),
        ("a (1)*\n", "a (1)*", True),
    ],
)
def test_output_is_compared(blocks, printed, expected, same):
    assert blocks.matches(printed, expected) is same


def run_made_up(blocks, tmp_path: Path, text: str):
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    return blocks.run_readme(readme, ROOT, tmp_path)


def test_blocks_run_in_order_and_share_artefacts(blocks, tmp_path):
    text = """
```python
import os
import chronos.console
x = 41
open("artifacts/x", "w").write(str(x + 1))
```
```console
$ cat artifacts/x; echo
42
$ printf '%s\\n' $CHRONOS_ARTIFACTS \\
    more | tail -n 1
more
```
```python
assert x == 41 and os.path.isfile("README.md")
```
```sh
exit 1
```
"""
    done = run_made_up(blocks, tmp_path, text)
    assert done.returncode == 0, done.stderr
    assert not (ROOT / "artifacts" / "x").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```python\nassert 1 == 2\n```\n", "AssertionError"),
        ("```python\nx = 1\n```\n\n```console\n$ echo a\nb\n```\n", "README.md:6: $ echo a"),
        ("```console\n$ false\n```\n", "exit code 1"),
        ("```console\n$ echo unexpected\n```\n", "--- it printed\nunexpected"),
    ],
)
def test_a_false_block_is_told(blocks, tmp_path, text, told):
    done = run_made_up(blocks, tmp_path, text)
    assert done.returncode
    assert told in done.stderr


PY_SOURCE = '''"""First | line of it.

More.
"""


def f(x):
    """Twice."""
    return 2 * x


class A:
    @property
    def b(self):
        return 1

    def c(self):
        return 2
'''
C_SOURCE = """/* Sums
 * of things. */
int sum(int a, int b);
int sum(int a,
        int b) {
    return a + b;
}
int other(void) { return 1; }
"""


def test_tables_and_listings_follow_the_sources(files, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.py").write_text(PY_SOURCE)
    (tmp_path / "sum.c").write_text(C_SOURCE)
    (tmp_path / "__init__.py").write_text("")
    readme = tmp_path / "README.md"
    readme.write_text(
        "<!-- files -->\nold\n<!-- /files -->\n<!-- code: a/one.py:f -->\n```py\n```\n"
        "<!-- code: a/one.py:A.b -->\n```py\nold\n```\n<!-- code: a/one.py:A.c -->\n\n```py\n```\n"
        "<!-- code: sum.c:sum -->\n```c\nold\n```\nend\n"
    )
    rendered = files.render(readme, tmp_path)
    assert rendered == (
        "<!-- files -->\n| file | what it is |\n|---|---|\n| `sum.c` | Sums |\n"
        "| `a/one.py` | First \\| line of it. |\n<!-- /files -->\n<!-- code: a/one.py:f -->\n"
        '```py\ndef f(x):\n    """Twice."""\n    return 2 * x\n```\n<!-- code: a/one.py:A.b -->\n'
        "```py\n@property\ndef b(self):\n    return 1\n```\n"
        "<!-- code: a/one.py:A.c -->\n\n```py\ndef c(self):\n    return 2\n```\n<!-- code: sum.c:sum -->\n"
        "```c\nint sum(int a,\n        int b) {\n    return a + b;\n}\n```\nend\n"
    )
    readme.write_text(rendered)
    assert files.render(readme, tmp_path) == rendered
    (tmp_path / "a" / "one.py").write_text(PY_SOURCE.replace("2 * x", "x + x"))
    assert files.render(readme, tmp_path) != rendered


@pytest.mark.parametrize("what", ["gone.py:f", "one.py:gone", "sum.c:gone"])
def test_a_listing_of_nothing_is_an_error(files, tmp_path, what):
    (tmp_path / "one.py").write_text(PY_SOURCE)
    (tmp_path / "sum.c").write_text(C_SOURCE)
    readme = tmp_path / "README.md"
    readme.write_text(f"<!-- code: {what} -->\n```py\nold\n```\n")
    with pytest.raises(LookupError, match="no"):
        files.render(readme, tmp_path)


def test_commands_that_do_not_exist_are_found():
    good = "chronos doctor # fine\n$ .venv/bin/chronos train a.b=1 2>&1 | head\n.venv\\Scripts\\chronos chat"
    bad = "chronos dokter\n$ chronos train --no-such-flag\nsome output"
    assert misunderstood(f"```sh\n{good}\n```\n") == []
    assert len(misunderstood(f"```console\n{good}\n{bad}\n```\n")) == 2


def test_dead_links_are_found(tmp_path):
    (tmp_path / "there.md").write_text("")
    readme = tmp_path / "README.md"
    readme.write_text(
        "[a](there.md) [b](there.md#x) [c](https://x.org) [d](#here)\n```\n[e](no)\n```\n[f](gone.md)"
    )
    assert dead_links(readme) == ["gone.md"]


def test_the_repository_is_not_touched(blocks, tmp_path):
    """A block that writes beside the sources writes into the workspace."""
    run_made_up(blocks, tmp_path, "```console\n$ touch stray\n```\n")
    assert not (ROOT / "stray").exists()
    assert "stray" in os.listdir(tmp_path / "repository")
