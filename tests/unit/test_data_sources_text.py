"""From strangers' formats to plain text: wikitext, XML, HTML, Gutenberg's licence, Python's documentation."""

import builtins
import io
import subprocess
import sys
import sysconfig
import time
import tracemalloc
from pathlib import Path

import pytest

from chronos.console import ChronosError
from chronos.data.decoding import DamageError
from chronos.data.sources import GENERATED, python_docs
from chronos.data.sources.gutenberg import strip_licence
from chronos.data.sources.safe_xml import child_text, elements, html_text, local
from chronos.data.sources.wikitext import plain_text

WHERE = Path("x.xml")


@pytest.mark.parametrize(
    ("wiki", "plain"),
    [
        ("'''Cairo''' is the ''capital'' of [[Egypt]].", "Cairo is the capital of Egypt."),
        ("the [[Nile|long river]] and [[delta]]s", "the long river and deltas"),
        ("a{{Infobox|x={{nested|[[y]]}}|z}}b{{lang|fr|mot}}c", "abmotc"),
        ("x<!-- no {{ -->y<ref name=a>n [[m]]</ref>z<ref name=a />!<REF>q", "xyz!q"),
        ("before\n{| class=x\n|-\n| a || {{b|}}\n|}\nafter", "before\n\nafter"),
        ("[[File:A.jpg|thumb|The [[Nile]] at dusk]]text [[Datei:B.png]][[Category:C|*]]end", "text end"),
        (
            "[[:Category:Rivers]] and [[de:Kairo]] and [[Star Wars: A Hope]]",
            "Category:Rivers and and Star Wars: A Hope",
        ),
        ("see [https://x.org the site] or [http://y.org]", "see the site or"),
        ("a&nbsp;b &lt;i&gt; &amp;amp; <b>bold</b> H<sub>2</sub>O 3 < 4", "a b <i> &amp; bold H2O 3 < 4"),
        ("* one\n** two\n# three\n: four\n__NOTOC__", "- one\n- two\n- three\nfour"),
        (
            "Intro.\n== A ==\ntext\n=== B ===\n== C ==\n== D ==\nend\n== See also ==\n",
            "Intro.\n\nA\n\ntext\n\nD\n\nend",
        ),
        ("== A ==\n=== B ===\ntext", "A\n\nB\n\ntext"),
        ("<math>x^2</math>is<br/>so<gallery>\nA.jpg|a\n</gallery>", "is\nso"),
        ("unclosed {{template and [[link", "unclosed template and link"),
        ("closed }} and ]] and {{a", "closed }} and ]] and a"),
        ("x = 1", "x = 1"),
        ("", ""),
    ],
)
def test_wikitext_becomes_what_a_reader_reads(wiki, plain):
    assert plain_text(wiki, frozenset({"datei"})) == plain


@pytest.mark.parametrize(
    "piece",
    ["{{", "[[", "]]", "{{a|", "[[a|", "<ref>", "<!--", "'''", "\n{|", "== ", "[http://a ", "<", "&", "*#"],
)
def test_hostile_wikitext_takes_linear_time(piece):
    seconds = []
    for count in (5_000, 20_000):
        started = time.perf_counter()
        plain_text(piece * count)
        plain_text(piece * count + "}}]]|}</ref>" * (count // 10))
        seconds.append(time.perf_counter() - started)
    assert seconds[1] < 1 and seconds[1] < 12 * seconds[0] + 0.1


def parsed(data, wanted=("a",), where=WHERE):
    return [(local(e), "".join(e.itertext())) for e in elements(io.BytesIO(data), set(wanted), where)]


def refusal(act, kind=DamageError):
    with pytest.raises(kind) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_wanted_elements_come_one_by_one():
    data = b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?>\n<!-- <!DOCTYPE x> --><r xmlns="u:x">'
    data += "<a>é<a>in</a></a><b>no</b><c><a k='1'>2<![CDATA[<!DOCTYPE html>]]></a></c></r>".encode()
    assert parsed(data) == [("a", "éin"), ("a", "2<!DOCTYPE html>")]
    assert parsed(b"<a>1</a>") == [("a", "1")] and parsed(b"<r/>") == []
    latin = '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1")
    assert parsed(latin) == [("a", "é")]
    element = next(elements(io.BytesIO(b"<a><t> x <b>y</b></t><t>z</t></a>"), {"a"}, WHERE))
    assert child_text(element, "t") == "x y" and child_text(element, "u") == ""


LAUGHS = b'<?xml version="1.0"?>\n<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>'


def test_document_types_and_what_hides_them_are_refused():
    for data in (
        LAUGHS,
        b"<!DOCTYPE html><a/>",
        b"<!-- x --><?p?><!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
    ):
        assert "document type (DTD) is refused" in refusal(lambda data=data: parsed(data))
    hidden = b'<?xml version="1.0" encoding="cp037"?>' + '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode(
        "cp037"
    )
    assert "encoding of XML is not read ('cp037')" in refusal(lambda: parsed(hidden))
    for encoding in ("utf-7", "utf-16"):
        data = f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode("ascii")
        assert "encoding of XML" in refusal(lambda data=data: parsed(data))
    assert "not XML" in refusal(lambda: parsed("<a/>".encode("utf-16")))
    assert "not XML" in refusal(lambda: parsed(b"")) and "not XML" in refusal(lambda: parsed(b"{}  "))
    assert "not XML" in refusal(lambda: parsed(b"<!--" + b"x" * 200_000))


def test_damaged_and_endless_xml(monkeypatch):
    assert "x.xml: damaged XML" in refusal(lambda: parsed(b"<r><a>1</a>"))
    assert "damaged XML (undefined entity" in refusal(lambda: parsed(b"<r><a>&b;</a></r>"))
    assert "damaged XML" in refusal(lambda: parsed(b"<r><a>1</b></r>"))
    assert "nest too deeply" in refusal(lambda: parsed(b"<r>" + b"<a>" * 100_000))
    monkeypatch.setattr("chronos.data.sources.safe_xml.ELEMENT_LIMIT", 1 << 20)
    assert "too long" in refusal(lambda: parsed(b"<r><a>" + b"x" * (2 << 20) + b"</a></r>"))
    assert "too long" in refusal(lambda: parsed(b'<r><a k="' + b"x" * (2 << 20) + b'"/></r>'))
    assert len(parsed(b"<r>" + (b"<a>" + b"x" * 2000 + b"</a>") * 1000 + b"</r>")) == 1000


def test_xml_is_read_with_flat_memory():
    class Many(io.RawIOBase):
        left = 40

        def read(self, count):
            self.left -= 1
            ends = {39: b"<r>", 0: b"</r>", -1: b""}
            return ends.get(self.left, b"<a>x</a><junk/>" * 2000)

    tracemalloc.start()
    try:
        assert sum(1 for _ in elements(Many(), {"a"}, WHERE)) == 38 * 2000
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_html_becomes_text():
    html = "<p>One &amp; <b>two</b>.</p><P class='a'>Three<br/>four &nbsp; x</p><script>no(1 < 2)</SCRIPT>"
    html += '<style>p{}</style><!-- <p> --><ul><li>a<li>b</ul><a title="x > y" href=z>link</a> 3 < 4 <?x y?>'
    assert html_text(html) == "One & two.\n\nThree\nfour x\n\n- a\n- b\nlink 3 < 4"
    assert html_text(" plain ") == "plain" and html_text("a &lt;b&gt;") == "a <b>"
    assert html_text("x<![if foo]>y<!bar [>z") == "xyz" and html_text("<svg>a<p>b") == "a\n\nb"
    assert html_text("a<!-- b") == "a" and html_text("a<b") == "a"


@pytest.mark.parametrize(
    "piece", ["<", "<!--", "<a ", "&", "<![", "</", "<p>", "<svg>", '<a "', "<a>", "&#x"]
)
def test_hostile_html_takes_linear_time(piece):
    seconds = []
    for count in (5_000, 20_000):
        started = time.perf_counter()
        html_text(piece * count)
        seconds.append(time.perf_counter() - started)
    assert seconds[1] < 1 and seconds[1] < 12 * seconds[0] + 0.1


BODY = "CHAPTER I\n\nIt was a dark night.\n\nEnd of the road. *** He slept.\n\n" * 30


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "*** START OF THE PROJECT GUTENBERG EBOOK A TALE ***",
            "*** END OF THE PROJECT GUTENBERG EBOOK A TALE ***\nLicence",
        ),
        (
            "***START OF THIS PROJECT GUTENBERG EBOOK A\nLONG TALE***\n\n\nProduced by Some\nBody\n",
            "End of Project Gutenberg's A Tale\n*** END OF THIS PROJECT GUTENBERG EBOOK ***",
        ),
        (
            "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
            "End of the Project Gutenberg Etext of A Tale",
        ),
        ("", ""),
    ],
)
def test_gutenbergs_licence_is_taken_off(before, after):
    text = (
        f"The Project Gutenberg eBook of A Tale\n\n{before}\n\n{BODY}\n{after}\nLicence" if before else BODY
    )
    assert strip_licence(text) == BODY.strip() + "\n"
    early = text.replace("CHAPTER I\n", "CHAPTER I\n\nEnd of Project Gutenberg's reign, it said.\n", 1)
    assert "reign, it said.\n\nIt was" in strip_licence(early) and strip_licence(early).count("It was") == 30


# ---- the documentation of Python ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python():
    return {
        document.source.removeprefix("python-docs:"): document.text for document in python_docs.documents()
    }


def test_python_documents_itself(python):
    assert len(python) > 600 and sum(map(len, python.values())) > 1_500_000
    assert "JSON" in python["json"] and "JSONDecoder.decode\n\n" in python["json.decoder"]
    assert builtins.len.__doc__ in python["builtins.len"] and "str.split\n\n" in python["builtins.str"]
    assert len(python["topics.with"]) > 500
    assert not [name for name in python if ".test" in name or "site-packages" in name]
    told = next(GENERATED["python-docs"].documents())
    assert (told.source, told.text) == ("python-docs:builtins.ArithmeticError", next(iter(python.values())))
    assert "never behind a published number" in GENERATED["python-docs"].about


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    monkeypatch.setattr(python_docs, "_builtins", lambda: iter(()))

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return write


def docs(**options):
    return [
        (document.source.removeprefix("python-docs:"), document.text)
        for document in python_docs.documents(**options)
    ]


def test_modules_are_read_and_not_run(library, tmp_path):
    ran = tmp_path / "ran"
    source = f'"""Bee.\n\n    Buzz."""\nopen({str(ran)!r}, "w")\nclass C:\n    "See."\n'
    source += '    def m(self):\n        "em"\n    async def n(self): "en"\ndef f(): pass\n'
    library("stdlib/b.py", source)
    library("stdlib/a/__init__.py", '"A."')
    library("stdlib/a/c.py", b'# coding: latin-1\n"caf\xe9 \\r\\n x"')
    library(
        "stdlib/pydoc_data/topics.py", "topics = {'with': 'The with statement', 'a': 'T', 'bad': '\\ud800'}"
    )
    for name in ("test/x.py", "a/tests/x.py", "site-packages/x.py", "x-y/x.py", "test_x.py"):
        library(f"stdlib/{name}", '"never"')
    library("stdlib/broken.py", "def (:")
    library("stdlib/zero.py", b"x\0y")
    library("stdlib/odd.py", 'class C:\n    "\\ud800"\nclass D:\n    "fine"\n')
    library("stdlib/deep.py", "x = " + "(" * 5000 + ")" * 5000)
    library("stdlib/silent.py", "x = 1")
    library("purelib/pack/mod.py", '"""Packed."""')
    found = docs()
    assert found == [
        ("topics.a", "a\n\nT\n"),
        ("topics.with", "with\n\nThe with statement\n"),
        ("a", "a\n\nA.\n"),
        ("a.c", "a.c\n\ncafé \nx\n"),
        ("b", "b\n\nBee.\n\nBuzz.\n\nb.C\n\nSee.\n\nb.C.m\n\nem\n\nb.C.n\n\nen\n"),
        ("odd", "odd.D\n\nfine\n"),
    ]
    assert not ran.exists()
    assert docs(installed=True) == [*found, ("pack.mod", "pack.mod\n\nPacked.\n")]


def test_a_python_without_documentation_says_so(library):
    assert "without documentation" in refusal(docs, ChronosError)


def test_the_documentation_is_the_same_each_time_and_nothing_is_imported(library, tmp_path):
    for name in "kjihg":
        library(f"stdlib/{name}/{name}.py", f'"""Module {name}."""')
    code = f"""
import hashlib, sys, sysconfig
from chronos.data.sources.python_docs import documents
sysconfig.get_path = lambda name: {str(tmp_path)!r} + "/" + name
before = set(sys.modules)
print(hashlib.sha256("".join(f"{{d.source}}|{{d.text}}|" for d in documents()).encode()).hexdigest())
print(set(sys.modules) - before)
"""
    told = set()
    for seed in "17":
        command = [sys.executable, "-c", code]
        told.add(
            subprocess.run(command, capture_output=True, check=True, env={"PYTHONHASHSEED": seed}).stdout
        )
    assert len(told) == 1 and told.pop().split()[1] == b"set()"
