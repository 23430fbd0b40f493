"""Tests of the guest runtime, on any Python from 3.11: `python3 -m unittest discover -s sdk/python/tests -t sdk/python`.

The bindings of the WIT are those in `fake`, a host in memory. The packages that the runtime itself needs are installed
once into `.site` beside this folder, by pip, or from the folder of wheels in `WEIR_WHEELS`.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / ".site"
_FILES = ["-r", ROOT / "requirements.txt", "-r", ROOT / "tests" / "requirements.txt"]


def _install() -> None:
    wheels = os.environ.get("WEIR_WHEELS")
    index = ["--no-index", "--find-links", wheels] if wheels else []
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, *index, "--target", SITE, *_FILES], check=True)


if not (SITE / "pydantic").exists():
    _install()
sys.path[:0] = [str(ROOT / "runtime"), str(ROOT / "tests" / "fake"), str(SITE)]
