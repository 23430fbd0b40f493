"""Builds the component of a flow folder: the steps of `weir build`, for trying the runtime and as their reference.

    python3 build.py FLOW_DIR -o flow.wasm [--entry classify.py …] [--message-format basic] [--work FOLDER] [--wheels FOLDER]

Without `--entry` each file at the top of the folder that defines a tool is one. `--work` keeps the environment and the
packages between builds; `--wheels` is a folder of wheels that are taken instead of asking a package index.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNTIME, WIT, BASE = HERE / "runtime", HERE / "wit", HERE / "requirements.txt"
FLOW_WIT = HERE.parent.parent / "wit"

#: Where `weir build` has put what a flow includes from outside of its folder: see host/src/folder.rs.
INCLUDES = Path(".weir/includes")

COMPONENTIZE = "componentize-py==0.25.1"
WORLD = "weir:python/python-node@0.1.0"

sys.path.insert(0, str(RUNTIME))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="build.py")
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--entry", action="append")
    parser.add_argument("--message-format", default="basic")
    parser.add_argument("--work", type=Path, default=Path.home() / ".cache" / "weir-python")
    parser.add_argument("--wheels", type=Path)
    given = parser.parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    # Of two builds at the same time, one makes the environment.
    with open(given.work / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tool = environment(given.work / "venv", given.wheels)
    site = given.output.with_suffix(".site")
    folder = with_includes(given.folder, given.output.with_suffix(".flow"))
    if not packages(folder, site, tool, given.wheels):
        return 1
    entries = given.entry or tools_at_top(folder)
    return componentize(folder.resolve(), given.output.resolve(), site.resolve(), tool, entries, given.message_format)


def with_includes(folder: Path, whole: Path) -> Path:
    """The flow folder as its Python sees it. What `additional_includes` name, `weir build` has copied into `.weir`; it
    lies among the files of the folder, and hides those of its names. componentize-py takes whole folders, so `whole`
    becomes a copy with both; a flow that includes nothing is built where it is."""
    includes = folder / INCLUDES
    if not includes.is_dir():
        return folder
    shutil.rmtree(whole, ignore_errors=True)
    shutil.copytree(folder, whole, ignore=shutil.ignore_patterns(".weir", "__pycache__"))
    shutil.copytree(includes, whole, dirs_exist_ok=True)
    return whole


def environment(folder: Path, wheels: Path | None) -> Path:
    """The Python of an environment that has componentize-py."""
    python = folder / "bin" / "python"
    if not (folder / "bin" / "componentize-py").exists():
        venv.create(folder, with_pip=True)
        index = ["--no-index", "--find-links", str(wheels)] if wheels else []
        subprocess.run([python, "-m", "pip", "install", "--quiet", *index, COMPONENTIZE], check=True)
    return python


def packages(folder: Path, site: Path, python: Path, wheels: Path | None) -> bool:
    """Installs what goes into the component; tells what cannot. Gives whether the build can go on."""
    from weir_python.requirements import Pip, plan, read

    report = plan(str(folder), Pip(str(python), str(wheels) if wheels else None), read(str(BASE)))
    for package in report["native"]:
        also = f": {package['replacement']}" if package["replacement"] else ""
        print(f"{package['name']} {package['version']}: {package['reason']}{also}", file=sys.stderr)
    for missing in report["missing"]:
        print(f"{missing['module']}: no package has it; imported by {', '.join(missing['files'])}", file=sys.stderr)
    if report["problem"]:
        print(report["problem"], file=sys.stderr)
        return False
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(parents=True)
    pinned = [f"{package['name']}=={package['version']}" for package in report["install"]]
    index = ["--no-index", "--find-links", str(wheels)] if wheels else []
    command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--only-binary=:all:"]
    command += ["--python-version", "3.14", "--implementation", "cp", "--target", str(site), *index]
    subprocess.run([*command, *pinned], check=True)
    for native in site.rglob("*.so"):
        native.unlink()
    return True


def tools_at_top(folder: Path) -> list[str]:
    from weir_python.scan import scan

    return [file["path"] for file in scan(str(folder))["files"] if file["tools"] and "/" not in file["path"]]


def componentize(folder: Path, output: Path, site: Path, python: Path, entries: list[str], message_format: str) -> int:
    app = output.with_suffix(".app")
    app.mkdir(parents=True, exist_ok=True)
    plan = {"entries": entries, "message_format": message_format}
    (app / "weir_entries.json").write_text(json.dumps(plan), encoding="utf-8")
    command = [str(python.parent / "componentize-py"), "-d", str(FLOW_WIT), "-d", str(WIT), "-w", WORLD]
    command += ["componentize", "weir_app", "-o", str(output)]
    # In this order: weir_python/build.py counts on it.
    for path in (app, RUNTIME, site, folder):
        command += ["-p", str(path)]
    began = time.monotonic()
    variables = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    for line in (done.stdout + done.stderr).split("\n"):
        # What the runtime tells comes as objects, one a line; componentize-py puts its own words before the first.
        at = line.find('{"weir": ')
        if at >= 0:
            print(line[at:])
    if done.returncode:
        print(done.stderr[-2000:] if '{"weir": ' not in done.stderr else "", file=sys.stderr)
        return 1
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
