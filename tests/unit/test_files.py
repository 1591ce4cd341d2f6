"""No file is lost: what fails half-way leaves what was there, whole, and nothing beside it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chronos import files
from chronos.console import ChronosError


@pytest.fixture
def full_disk(monkeypatch):
    """Every flush to the disk fails as on a full one."""

    def fail(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)


def listing(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_write_atomic_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "deep" / "er" / "a.txt"
    files.write_atomic(path, "eins…")
    files.write_atomic(path, b"zwei")
    assert path.read_bytes() == b"zwei"
    assert listing(path.parent) == ["a.txt"]


def test_write_atomic_on_a_full_disk_keeps_the_old_file(tmp_path, full_disk):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ChronosError, match=r"a\.txt: .*No space left on device; free some space"):
        files.write_atomic(path, "new")
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["a.txt"]


def test_write_atomic_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    files.write_atomic(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def fill(folder: Path, text: str) -> None:
    (folder / "inner").mkdir()
    (folder / "a.txt").write_text(text)
    (folder / "inner" / "b.txt").write_text(text)


def test_atomic_directory_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "up" / "model"
    with files.atomic_directory(target) as folder:
        assert folder.parent == target.parent
        fill(folder, "new")
        assert not target.exists()
    assert (target / "inner" / "b.txt").read_text() == "new"
    assert listing(target.parent) == ["model"]


def test_atomic_directory_replaces_an_older_version_with_all_its_files(tmp_path):
    target = tmp_path / "model"
    with files.atomic_directory(target) as folder:
        fill(folder, "old")
        (folder / "gone.txt").write_text("old")
    with files.atomic_directory(target) as folder:
        fill(folder, "new")
        assert (target / "a.txt").read_text() == "old", "readers see the old one until the end"
    assert listing(target) == ["a.txt", "inner"]
    assert (target / "a.txt").read_text() == "new"
    assert listing(tmp_path) == ["model"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, ChronosError])
def test_atomic_directory_when_the_writer_raises(tmp_path, error):
    target = tmp_path / "model"
    with files.atomic_directory(target) as folder:
        fill(folder, "old")
    with pytest.raises(error), files.atomic_directory(target) as folder:
        fill(folder, "new")
        raise error("stop")
    assert (target / "a.txt").read_text() == "old"
    assert listing(tmp_path) == ["model"]


def test_atomic_directory_on_a_full_disk(tmp_path, full_disk):
    target = tmp_path / "model"
    target.mkdir()
    (target / "a.txt").write_text("old")
    with (
        pytest.raises(ChronosError, match="No space left on device"),
        files.atomic_directory(target) as folder,
    ):
        fill(folder, "new")
    assert (target / "a.txt").read_text() == "old"
    assert listing(tmp_path) == ["model"]


def test_atomic_directory_stopped_between_its_renames(tmp_path, monkeypatch):
    target = tmp_path / "model"
    target.mkdir()
    (target / "a.txt").write_text("old")
    rename, calls = os.replace, []

    def stop_at_the_second(source, destination):
        calls.append(source)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rename(source, destination)

    monkeypatch.setattr(files, "_exchange", lambda a, b: False)
    monkeypatch.setattr(os, "replace", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt), files.atomic_directory(target) as folder:
        fill(folder, "new")
    assert (target / "a.txt").read_text() == "old"
    assert listing(tmp_path) == ["model"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs renameat2")
def test_atomic_directory_is_replaced_without_a_moment_of_absence(tmp_path, monkeypatch):
    target = tmp_path / "model"
    target.mkdir()
    (target / "a.txt").write_text("old")
    monkeypatch.setattr(os, "replace", lambda *paths: pytest.fail(f"two renames: {paths}"))
    with files.atomic_directory(target) as folder:
        fill(folder, "new")
    assert (target / "a.txt").read_text() == "new"
    assert listing(tmp_path) == ["model"]


def test_atomic_directory_does_not_replace_what_it_did_not_write(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "letters.txt").write_text("dear")
    with pytest.raises(ChronosError, match="refusing to replace"), files.atomic_directory(home) as folder:
        fill(folder, "new")
    (tmp_path / "file").write_text("a file")
    with (
        pytest.raises(ChronosError, match="refusing to replace"),
        files.atomic_directory(tmp_path / "file") as folder,
    ):
        fill(folder, "new")
    assert (home / "letters.txt").read_text() == "dear"
    assert (tmp_path / "file").read_text() == "a file"
    assert listing(tmp_path) == ["file", "home"]


def test_atomic_directory_fills_an_empty_one(tmp_path):
    (tmp_path / "empty").mkdir()
    with files.atomic_directory(tmp_path / "empty") as folder:
        fill(folder, "new")
    assert (tmp_path / "empty" / "a.txt").read_text() == "new"


def test_a_resumable_directory_comes_back_as_it_was_left(tmp_path):
    target = tmp_path / "shards"
    with pytest.raises(KeyboardInterrupt), files.resumable_directory(target, {"seed": 1}) as folder:
        (folder / "a.txt").write_text("first part")
        raise KeyboardInterrupt
    assert listing(tmp_path) == [".shards.partial"]
    with files.resumable_directory(target, {"seed": 1}) as folder:
        assert (folder / "a.txt").read_text() == "first part"
        (folder / "b.txt").write_text("second part")
    assert listing(tmp_path) == ["shards"] and listing(target) == ["a.txt", "b.txt"]


def test_a_resumable_directory_of_something_else_starts_afresh(tmp_path):
    target = tmp_path / "shards"
    with pytest.raises(KeyboardInterrupt), files.resumable_directory(target, {"seed": 1}) as folder:
        (folder / "a.txt").write_text("first part")
        raise KeyboardInterrupt
    with files.resumable_directory(target, {"seed": 2}) as folder:
        assert not (folder / "a.txt").exists()
        (folder / "b.txt").write_text("other")
    assert listing(target) == ["b.txt"]


@pytest.mark.parametrize("error, stays", [(ChronosError("damaged"), False), (OSError(28, "full"), True)])
def test_what_failed_for_good_is_removed_and_a_full_disk_is_not_for_good(tmp_path, error, stays):
    with pytest.raises(ChronosError), files.resumable_directory(tmp_path / "shards", 1) as folder:
        (folder / "a.txt").write_text("first part")
        raise error
    assert listing(tmp_path) == ([".shards.partial"] if stays else [])


def test_a_second_process_is_refused_and_a_dead_one_is_no_hindrance(tmp_path):
    target = tmp_path / "shards"
    code = (
        "import os, sys; from chronos import files\n"
        "with files.resumable_directory(sys.argv[1], 1) as folder:\n"
        "    (folder / 'a.txt').write_text('left by the dead'); print('in', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout.readline() == b"in\n"
    with pytest.raises(ChronosError, match="another process"), files.resumable_directory(target, 1):
        pass
    other.kill()
    other.communicate()
    with files.resumable_directory(target, 1) as folder:
        assert (folder / "a.txt").read_text() == "left by the dead"
    assert listing(tmp_path) == ["shards"]


def test_every_file_is_flushed_before_the_rename(tmp_path, monkeypatch):
    flushed, real = [], os.fsync

    def watch(handle):
        assert not (tmp_path / "model").exists() or flushed
        flushed.append(os.fstat(handle).st_ino)
        real(handle)

    monkeypatch.setattr(os, "fsync", watch)
    with files.atomic_directory(tmp_path / "model") as folder:
        fill(folder, "new")
    there = list((tmp_path / "model").rglob("*"))
    assert {path.stat().st_ino for path in [*there, tmp_path / "model", tmp_path]} <= set(flushed)


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes only what it may write")
def test_read_only_files_can_be_flushed(tmp_path, monkeypatch):
    """They are opened for reading; the mode is looked at because a superuser may write anything."""
    import fcntl

    modes, real = [], os.fsync

    def watch(handle):
        modes.append(fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE)
        real(handle)

    monkeypatch.setattr(os, "fsync", watch)
    with files.atomic_directory(tmp_path / "model") as folder:
        (folder / "a").write_text("x")
        (folder / "a").chmod(0o444)
    assert set(modes) == {os.O_RDONLY}


def test_os_errors_name_the_file_that_failed(tmp_path):
    with (
        pytest.raises(ChronosError, match=r"input\.txt: .*No such file"),
        files.atomic_directory(tmp_path / "o"),
    ):
        (tmp_path / "input.txt").read_text()
    with pytest.raises(BrokenPipeError), files.explain_os_errors(tmp_path):
        raise BrokenPipeError(32, "Broken pipe")


def test_hashes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert files.sha256_bytes(b"abc") == files.sha256_file(tmp_path / "a") == published
    with pytest.raises(ChronosError, match="gone"):
        files.sha256_file(tmp_path / "gone")


def test_json_round_trip(tmp_path):
    value = {"a": [1, 2.5, None, "…"]}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == value


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"a": 1,\n "b": }', r"a\.json:2: damaged JSON"),
        (b"", r"a\.json:1: damaged JSON"),
        (b"\xff\xfe\xff", "damaged JSON"),
        (b"[" * 100_000, "damaged JSON"),
        (b"1" * 5000, "damaged JSON"),
    ],
)
def test_damaged_json_is_told_by_file_and_line(tmp_path, data, told):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ChronosError, match=told):
        files.read_json(tmp_path / "a.json")


def test_missing_json(tmp_path):
    with pytest.raises(ChronosError, match=r"gone\.json: .*No such file"):
        files.read_json(tmp_path / "gone.json")
