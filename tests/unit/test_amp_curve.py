"""The loss with --amp beside float32's, in short: the program of the long runs on a small model and text."""

import json
import subprocess
import sys

import pytest

from chronos import native
from chronos.console import ChronosError
from chronos.files import read_json
from chronos.training import amp_curve

SMALL = "model.layers=2 model.width=32 model.heads=2 model.context=32 tokenizer.kind=char train.batch_size=8"
SHORT = "train.steps=60 train.warmup=5 train.lr=3e-3 train.eval_every=20 train.checkpoint_every=0"


def test_curves_are_means_and_their_distance_is_signed():
    losses = [(step, float(step)) for step in range(1, 46)]
    assert amp_curve.smooth(losses) == [(20, 10.5), (40, 30.5), (45, 43.0)]
    above = amp_curve.apart([(1, 2.0), (2, 1.0)], [(1, 1.5), (2, 1.25)])
    assert above == {"mean": -0.125, "most": 0.5, "last": 0.25}
    with pytest.raises(ChronosError, match="different steps"):
        amp_curve.apart([(1, 2.0)], [(2, 2.0)])


@pytest.mark.skipif(not native.has_bf16(), reason="needs a CPU with bf16")
def test_the_loss_with_amp_is_float32s(tmp_path, root, monkeypatch):
    """Nearer than another seed's by far, and not the same; a second call trains nothing anew."""
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("CHRONOS_ARTIFACTS", str(tmp_path / "artifacts"))
    text, out = tmp_path / "text.txt", tmp_path / "amp.json"
    text.write_text("One day a hen met a fox by the river. The fox was red and the hen was not. " * 60)
    script = root / "05-training" / "amp_curve.py"
    command = [sys.executable, script, "--text", text, "--out", out, *SMALL.split(), *SHORT.split()]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stderr
    assert "nothing to do" in done.stderr + done.stdout
    found = read_json(out)
    runs = found["runs"]
    assert [step for step, _ in runs["amp"]["1"]["train"]] == [20, 40, 60]
    assert runs["amp"]["1"]["train"][-1][1] < 0.7 * runs["amp"]["1"]["train"][0][1]
    distance = {name: pair["train"]["most"] for name, pair in found["apart"].items()}
    seeds = distance.pop("float32, seed 2 beside 1")
    assert set(distance) == {"amp, seed 1", "amp, seed 2"}
    assert all(0 < most < min(0.02, 0.3 * seeds) for most in distance.values())
    assert out.with_suffix(".svg").read_text().count("amp, seed") == 2
    assert json.dumps(str(tmp_path))[1:-1] not in found["command"].split("--out")[0]
