"""Packed text is read as it is unpacked; a hostile archive gets one clear line, and never the memory."""

import bz2
import gzip
import io
import lzma
import os
import struct
import sys
import tarfile
import tracemalloc
import zipfile
import zlib
from types import SimpleNamespace

import pytest

from chronos.console import ChronosError
from chronos.data import archives, members
from chronos.data.archives import is_archive, is_container, open_stream, suffixes
from chronos.data.decoding import DamageError

TEXT = "".join(f'{{"text": "row {i} naïve 猫"}}\n' for i in range(6_000)).encode()
PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
STREAMS = [".gz", ".bz2", ".xz", ".zst"]


def packed(suffix, data=TEXT):
    if suffix == ".zst":
        return pytest.importorskip("zstandard").ZstdCompressor(write_checksum=True).compress(data)
    return PACK[suffix](data)


def put(path, data):
    path.write_bytes(data)
    return path


def refusal(act, kind=DamageError):
    with pytest.raises(kind) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def contents(path):
    """{name: bytes, or the refusal of that member}"""
    found = []
    for name, stream in archives.members(path):
        try:
            found.append((name, stream.read()))
        except DamageError as error:
            found.append((name, str(error)))
    assert len(dict(found)) == len(found) or "second" in str(found)
    return dict(found)


def make_tar(path, *entries, mode="w", form=tarfile.PAX_FORMAT):
    """Entries are (name, bytes) or TarInfo."""
    with tarfile.open(path, mode, format=form) as tar:
        for entry in entries:
            info, data = (
                (entry, b"") if isinstance(entry, tarfile.TarInfo) else (tarfile.TarInfo(entry[0]), entry[1])
            )
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def make_zip(path, *entries, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in entries:
            out.writestr(name, data)
    return path


def test_names_say_what_is_packed():
    assert suffixes("a/x.jsonl.GZ") == (".jsonl", ".gz")
    assert suffixes("x.tgz") == (".tar", ".gz") and suffixes("x.tar") == (".tar", "")
    assert suffixes("x.zip") == ("", ".zip") and suffixes("x.txt") == (".txt", "")
    assert [is_archive(n) for n in ("a.txt", "a.gz", "a.zip", "a.tar", "a.txz", "gz")] == [0, 1, 1, 1, 1, 0]
    assert [is_container(n) for n in ("a.jsonl.zst", "a.tar.zst", "a.zip")] == [False, True, True]


@pytest.mark.parametrize("suffix", STREAMS)
def test_streams_are_read_whole_and_one_after_another(tmp_path, suffix):
    file = put(tmp_path / f"x.jsonl{suffix}", packed(suffix) + packed(suffix, b"more\n"))
    with open_stream(file) as stream:
        assert stream.readline() == TEXT[: TEXT.index(b"\n") + 1]
        rest = stream.read()
    assert rest == TEXT[TEXT.index(b"\n") + 1 :] + b"more\n"
    padded = put(tmp_path / f"y.txt{suffix}", packed(suffix) + bytes(1024))
    assert open_stream(padded).read() == TEXT


@pytest.mark.parametrize("suffix", STREAMS)
def test_damaged_streams_are_refused(tmp_path, suffix):
    whole = packed(suffix)
    file = tmp_path / f"x.jsonl{suffix}"
    for cut in (1, 5, len(whole) // 2, len(whole) - 1):
        put(file, whole[:cut])
        assert str(file) in refusal(lambda: open_stream(file).read())
    assert "it ends too soon" in refusal(lambda: open_stream(put(file, whole[:-1])).read())
    put(file, whole[: len(whole) // 2] + b"\x55\xaa\x55" + whole[len(whole) // 2 + 3 :])
    assert "damaged" in refusal(lambda: open_stream(file).read())
    assert f"this is not {suffix} data, got bytes 7b 22" in refusal(lambda: open_stream(put(file, TEXT)))
    assert "after its end" in refusal(lambda: open_stream(put(file, whole + b"garbage")).read())
    assert "empty" in refusal(lambda: open_stream(put(file, b"")))
    os.unlink(file)
    os.mkfifo(file)
    assert "named pipe" in refusal(lambda: open_stream(file), ChronosError)


def test_what_is_not_packed_is_refused(tmp_path):
    file = put(tmp_path / "x.txt", b"plain")
    assert "not a packed file" in refusal(lambda: open_stream(file), ChronosError)
    assert "not an archive" in refusal(lambda: list(archives.members(file)), ChronosError)
    assert "has members" in refusal(lambda: open_stream(tmp_path / "x.tar.gz"), ChronosError)
    assert "no such file" in refusal(lambda: open_stream(tmp_path / "no.gz"), ChronosError)


def bomb(suffix, size):
    if suffix == ".zst":
        pack = pytest.importorskip("zstandard").ZstdCompressor().compressobj()
    elif suffix == ".gz":
        pack = zlib.compressobj(9, wbits=31)
    else:
        pack = bz2.BZ2Compressor() if suffix == ".bz2" else lzma.LZMACompressor(preset=0)
    zeros = bytes(1 << 20)
    return b"".join(pack.compress(zeros) for _ in range(size >> 20)) + pack.flush()


@pytest.mark.parametrize("suffix", STREAMS)
def test_a_bomb_is_refused_before_it_fills_memory(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(archives, "GRACE", 8 << 20)
    file = put(tmp_path / f"x.txt{suffix}", bomb(suffix, 40 << 20))
    given = 0

    def drain():
        nonlocal given
        with open_stream(file) as stream:
            while data := stream.read(1 << 16):
                given += len(data)

    tracemalloc.start()
    try:
        said = refusal(drain)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "as a bomb does" in said and str(file) in said
    assert given < 30 << 20 and peak < 20 << 20


def test_the_total_is_limited_whatever_the_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "TOTAL_LIMIT", 100_000)
    noise = os.urandom(200_000)
    assert "at most 100000 bytes" in refusal(
        lambda: open_stream(put(tmp_path / "x.gz", packed(".gz", noise))).read()
    )
    file = make_zip(tmp_path / "x.zip", *((f"{i}.txt", noise[:30_000]) for i in range(5)))
    assert [len(v) == 30_000 for v in contents(file).values()] == [True] * 3 + [False] * 2


def test_decompressors_may_not_ask_for_gigabytes(tmp_path):
    zstandard = pytest.importorskip("zstandard")
    header = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"  # a window of 2 GiB
    assert zstandard.get_frame_parameters(header).window_size == 1 << 31
    said = refusal(lambda: open_stream(put(tmp_path / "x.txt.zst", header)).read())
    assert "more than 128 MiB" in said
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0}]
    small = bytearray(lzma.compress(b"text", filters=filters))
    at = small.index(b"\x21\x01", 12) + 2  # the LZMA2 filter's dictionary size, then the header's CRC anew
    small[at] = 38  # 2 GiB
    end = 12 + (small[12] + 1) * 4
    small[end - 4 : end] = struct.pack("<I", zlib.crc32(small[12 : end - 4]))
    assert "more than 128 MiB" in refusal(lambda: open_stream(put(tmp_path / "x.txt.xz", small)).read())


def test_the_standard_library_unpacks_zstd_where_it_can(tmp_path, monkeypatch):
    pytest.importorskip("zstandard")
    asked = []

    def decompressor(options):
        asked.append(options)
        return archives._Zstd()

    names = {"ZstdDecompressor": decompressor, "ZstdError": ValueError}
    names["DecompressionParameter"] = SimpleNamespace(window_log_max="window_log_max")
    monkeypatch.setattr(archives, "sys", SimpleNamespace(version_info=(3, 14, 0)))
    monkeypatch.setattr(
        archives, "importlib", SimpleNamespace(import_module=lambda _: SimpleNamespace(**names))
    )
    file = put(tmp_path / "x.jsonl.zst", packed(".zst") * 2)
    assert open_stream(file).read() == TEXT * 2 and asked == [{"window_log_max": 27}] * 2


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    if sys.version_info < (3, 14):
        file = put(tmp_path / "x.txt.zst", b"\x28\xb5\x2f\xfd")
        assert 'pip install "chronos-memory[data]"' in refusal(lambda: open_stream(file), ChronosError)


@pytest.mark.parametrize("name", ["x.tar", "x.tgz", "x.tar.bz2", "x.txz", "x.tar.zst", "x.zip"])
def test_members_are_the_readable_ones_in_order(tmp_path, name):
    long = "deep/" * 50 + "long.txt"
    entries = [("b.jsonl", TEXT), ("a/Ünï.MD", b"# m"), ("pic.png", b"x"), (".hid.txt", b"x")]
    entries += [("__MACOSX/b.txt", b"x"), (long, b"deep"), ("empty.txt", b"")]
    file = tmp_path / name
    if name == "x.zip":
        make_zip(file, *entries)
    elif name == "x.tar.zst":
        put(file, packed(".zst", make_tar(tmp_path / "y.tar", *entries).read_bytes()))
    else:
        mode = {"x.tar": "w", "x.tgz": "w:gz", "x.tar.bz2": "w:bz2", "x.txz": "w:xz"}[name]
        make_tar(file, *entries, mode=mode)
    expected = [("b.jsonl", TEXT), ("a/Ünï.MD", b"# m"), (long, b"deep"), ("empty.txt", b"")]
    assert list(contents(file).items()) == expected
    assert [name for name, _ in archives.members(file)] == [name for name, _ in expected]  # none of them read


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_every_kind(tmp_path, form):
    entries = [(f"{'d/' * n}{'n' * n}.txt", bytes([65 + n]) * 511 * n) for n in (1, 9, 30, 45)]
    file = make_tar(tmp_path / "x.tar", *entries, form=form)
    assert list(contents(file).items()) == entries
    stale = next(iter(archives.members(file)))[1]
    streams = [stream for _, stream in archives.members(file)]
    assert "not read" in refusal(streams[0].read) and "not read" in refusal(stale.read)


HOSTILE = {
    "../up.txt": "leads out of the archive",
    "a/../../up.md": "leads out",
    "..\\up.txt": "leads out",
    "/etc/abs.txt": "absolute",
    "C:\\abs.txt": "absolute",
    "bell\x07.txt": "control characters",
    "inner.zip": "inside an archive",
    "rows.jsonl.gz": "inside an archive",
}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_hostile_names_are_refused_one_by_one(tmp_path, kind):
    entries = [("ok.txt", b"fine"), *((name, b"bad") for name in HOSTILE), ("last.txt", b"fine too")]
    make = make_zip if kind == "zip" else make_tar
    found = contents(make(tmp_path / f"x.{kind}", *entries))
    assert found.pop("ok.txt") == b"fine" and found.pop("last.txt") == b"fine too"
    for (name, why), said in zip(HOSTILE.items(), found.values(), strict=True):
        assert why in said and f"x.{kind}:" in said and "\x07" not in said, (name, said)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_the_second_of_two_equal_names_is_refused(tmp_path, kind):
    make = make_zip if kind == "zip" else make_tar
    file = make(tmp_path / f"x.{kind}", ("a.txt", b"one"), ("a.txt", b"two"))
    streams = archives.members(file)
    assert next(streams)[1].read() == b"one"
    assert f"{file}:a.txt: a second member of this name" in refusal(next(streams)[1].read)


def test_links_devices_and_sparse_files_in_a_tar(tmp_path):
    entries = [("a.txt", b"text")]
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"S"):
        entries.append(tarfile.TarInfo(f"{kind.decode()}.txt"))
        entries[-1].type, entries[-1].linkname = kind, "/etc/passwd"
    found = contents(make_tar(tmp_path / "x.tar", *entries))
    assert found.pop("a.txt") == b"text"
    reasons = ["a link", "a link", "a device", "a device", "a named pipe", "a sparse file"]
    assert [why in found[f"{k}.txt"] for k, why in zip("21346S", reasons)] == [True] * 6


def test_damaged_tars(tmp_path):
    whole = make_tar(tmp_path / "x.tar", ("a.txt", b"a" * 3000), ("b.txt", b"b" * 3000)).read_bytes()
    file = tmp_path / "y.tar"

    def read(data):
        return refusal(lambda: [stream.read() for _, stream in archives.members(put(file, data))])

    assert f"{file}:a.txt: the archive ends within it" in read(whole[:2000])
    assert "without its end mark" in read(whole[:3584]) and "without its end mark" in read(whole[:7168])
    assert "this is not a tar" in read(b"") and "this is not a tar" in read(TEXT)
    assert "damaged tar header" in read(whole[:3600] + b"X" + whole[3601:])
    for size in (b"9" * 11, b"\x80" + b"\xff" * 11, b"\xff" * 12):
        assert "y.tar:a.txt: damaged tar header (its size is no number)" in read(header(whole, 124, size))
    assert r"y.tar:\xe9.txt: its name is not UTF-8" in read(header(whole, 0, b"\xe9"))
    pax = header(whole, 156, b"x")
    assert "extended header is too long" in read(header(pax, 124, b"77777777777"))
    for records in (b"999 path=a\n", b"0 path=a\n", b"path", b"12 path\n"):
        assert "damaged extended header" in read(header(pax, 124, b"%011o" % 512) + records.ljust(512, b"\0"))


def header(data, at, new):
    """The first header of a tar with something else in it, and a right checksum."""
    data = patched(patched(data[:512], at, new), 148, b" " * 8)
    return patched(data, 148, b"%06o\0 " % sum(data))


def patched(data, at, new):
    return data[:at] + new + data[at + len(new) :]


def test_damaged_zips(tmp_path):
    whole = make_zip(tmp_path / "x.zip", ("a.txt", TEXT), ("b.txt", b"b" * 99)).read_bytes()
    file = tmp_path / "y.zip"
    central, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")

    def said(at, new, data=whole):
        return str(contents(put(file, patched(data, at, new)))["a.txt"])

    assert "a.txt: it is encrypted" in said(central + 8, b"\1") and "method 12" in said(central + 10, b"\x0c")
    assert "y.zip:a.txt: damaged zip (Bad CRC-32" in said(central + 16, b"1234")
    assert "its length is not what the directory says" in said(central + 24, b"\xff\xff\xff\0")
    assert "damaged zip" in said(central + 24, b"\x09\0\0\0")  # shorter than it is
    assert "damaged zip" in said(400, b"\x55" * 30) and "damaged zip" in said(end + 16, b"\xff\xff\xff\x7f")
    assert "damaged zip" in said(0, b"XX")
    unix = patched(whole, central + 5, b"\3")
    assert "a link or a device" in said(central + 40, b"\xff\xa1", unix)
    for data in (b"", TEXT, whole[:-1], whole[: len(whole) // 2]):
        assert "not a zip archive, or it is cut short" in whole_refusal(file, data)
    named = patched(patched(whole, central + 9, b"\x08"), central + 46, b"\xff")
    assert "a name is not UTF-8" in whole_refusal(file, named)
    assert "damaged zip" in whole_refusal(file, patched(whole, end + 12, b"\xff\xff\x01\0"))


def whole_refusal(file, data):
    put(file, data)
    return refusal(lambda: contents(file))


def test_zip64_and_its_lies(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as out, out.open("a.txt", "w", force_zip64=True) as member:
        member.write(b"whole")
    assert contents(tmp_path / "x.zip") == {"a.txt": b"whole"}
    data = (tmp_path / "x.zip").read_bytes()
    end = data.index(b"PK\5\6")
    directory = data.index(b"PK\1\2")

    def record(count, length):
        return struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, directory)

    def with_record(*lies, at=end):
        locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
        return data[:end] + b"".join(lies) + locator + patched(data[end:], 8, b"\xff" * 12)

    file = tmp_path / "y.zip"
    assert contents(put(file, with_record(record(1, end - directory)))) == {"a.txt": b"whole"}
    for lie in (record(1, 1 << 40), record(1 << 40, 9)):
        for lies in ((lie,), (record(1, 9), lie), (lie, record(1, 9))):
            assert "too" in whole_refusal(file, with_record(*lies))  # too many, or too long
    assert "zip64 record" in whole_refusal(file, with_record(b"", at=1 << 63))


def test_a_million_members(tmp_path, monkeypatch):
    assert members.MEMBER_LIMIT == 100_000
    monkeypatch.setattr(members, "MEMBER_LIMIT", 2500)
    block = tarfile.TarInfo("n.bin").tobuf()
    many = put(tmp_path / "x.tar.gz", gzip.compress(block * 1000) * 3)  # gzip streams may follow each other
    said = refusal(lambda: contents(many))
    assert "too many members" in said and "2,500" in said
    monkeypatch.setattr(members, "MEMBER_LIMIT", 50)
    whole = make_zip(tmp_path / "x.zip", *((f"{i}.txt", b"") for i in range(51))).read_bytes()
    assert "too many members" in refusal(lambda: contents(tmp_path / "x.zip"))
    liar = patched(whole, whole.index(b"PK\5\6") + 8, b"\1\0\1\0")
    assert "too many members" in refusal(lambda: contents(put(tmp_path / "y.zip", liar)))
    monkeypatch.setattr(members, "DIRECTORY_LIMIT", 1000)
    assert "directory is too long" in refusal(lambda: contents(put(tmp_path / "y.zip", liar)))


def test_a_zip_bomb_of_many_members_and_an_archive_without_text(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "GRACE", 8 << 20)
    zeros = bytes(4 << 20)
    found = contents(make_zip(tmp_path / "x.zip", *((f"{i}.txt", zeros) for i in range(6))))
    assert [len(found[f"{i}.txt"]) for i in range(3)] == [4 << 20] * 3
    assert "as a bomb does" in found["5.txt"] and "x.zip" in found["5.txt"]
    assert "no text" in refusal(lambda: contents(make_zip(tmp_path / "y.zip", ("a.png", b"x"))), ChronosError)
    cut = gzip.compress(make_tar(tmp_path / "y.tar", ("a.txt", b"text")).read_bytes())[:-4]
    assert "ends too soon" in refusal(lambda: contents(put(tmp_path / "y.tar.gz", cut)))


def test_a_member_that_was_read_to_its_end_stays_at_its_end(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", "text")
    for _, stream in archives.members(tmp_path / "a.zip"):
        assert [stream.read() for _ in range(3)] == [b"text", b"", b""]
