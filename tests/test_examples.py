"""Every example runs as its page says."""

import subprocess
import sys
from pathlib import Path

import av

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_denoise_video_writes_a_video_with_every_frame(tmp_path: Path) -> None:
    target = tmp_path / "clean.mp4"
    command = [sys.executable, EXAMPLES / "denoise_video.py", EXAMPLES / "noisy_path.mp4", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "32 frames" in done.stdout
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 32


def test_denoise_live_gives_back_every_frame() -> None:
    command = [sys.executable, EXAMPLES / "denoise_live.py", EXAMPLES / "noisy_path.mp4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "32 frames pushed, 32 given, 6 behind at most" in done.stdout
