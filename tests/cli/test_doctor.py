"""`f2r doctor` reports what is there, and notices what does not work."""

import json

import pytest

from f2rcli import weights
from f2rcli.cli.commands import doctor
from f2rcli.engine import self_test
from f2rcli.errors import EXIT_FAILURE
from f2rcli.fast import support
from f2rcli.models.convolutions import fused


def test_doctor_notices_an_engine_that_makes_things_worse(f2r, monkeypatch) -> None:
    monkeypatch.setattr(support, "found", lambda *_: support.Found(None))  # kernels: tests/fast
    monkeypatch.setattr(weights, "manifest", dict)
    done = f2r("doctor", "--json")
    assert done.code == EXIT_FAILURE
    findings = [json.loads(line) for line in done.out.splitlines()]
    good = {finding["topic"]: finding["good"] for finding in findings}
    assert not good["self-test"]  # the fake engine darkens
    assert good["identity"]
    text = " ".join(finding["text"] for finding in findings)
    for word in ("torch 2", "av 18", "libx264", "prores", "cpu,", "libavcodec"):
        assert word in text


def test_doctor_notices_damaged_weights(monkeypatch, tmp_path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"not what was signed")
    entry = 'file = "w.safetensors"\nsha256 = "00"\nmethod = "f2r"\nspace = "rgb"\n'
    (tmp_path / "manifest.toml").write_text("[w]\n" + entry)
    monkeypatch.setattr(weights, "folder", lambda: tmp_path)
    (finding,) = doctor.shipped_weights()
    assert not finding.good
    assert "SHA-256" in finding.text


def test_psnr_of_known_noise() -> None:
    clean, noisy = self_test.synthetic_clip()
    assert 22.0 < self_test.psnr(noisy, clean) < 22.6  # 20 log10(255 / 20), clipping aside
    assert self_test.psnr(clean, clean) > 100


def test_doctor_says_how_networks_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "in one pass" in next(doctor.devices()).text
    monkeypatch.setattr(fused, "works", lambda dtype: False)
    found = next(doctor.devices())
    assert "step by step" in found.text
    assert found.good
