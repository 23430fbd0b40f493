"""Which packages go into a component, and which cannot. On the developer's machine:

    python3 -m weir_python.requirements FLOW_DIR [--wheels FOLDER] [--python PYTHON] [--base FILE]

reads the flow's requirements.txt, asks pip of PYTHON what it comes to for the Python of the component, and prints one
JSON object:

| key | is |
| --- | --- |
| `install` | `[{"name", "version", "wheel", "strip"}]`: to be installed without their dependencies; of those with `strip` native parts are deleted, which they can do without |
| `served` | packages of which the runtime has its own form, such as `openai` |
| `instead` | `[{"name", "asked", "taken", "why"}]`: packages that are taken in another version than was asked for |
| `implied` | packages that are installed though nobody asked: the flow imports them, and prompt flow brings them |
| `native` | `[{"name", "version", "wheel", "reason", "replacement", "required_by", "imported"}]`: packages that cannot go in, and whether the flow's own files import them |
| `missing` | `[{"module", "package", "files"}]`: imports that no package here has |
| `problem` | what pip said, if it found no solution |

With `--wheels` nothing is asked of a package index. Status 1 if what cannot go in is imported, or missing, or there is
a problem.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from typing import Any

from .known import COMES_WITH_PROMPTFLOW, INSTEAD, NEEDS_ONLY, PACKAGE_OF, PURE_FALLBACK, SHIMMED, normal, replacement
from .scan import scan

#: The Python inside a component of componentize-py 0.25.
PYTHON_VERSION = "3.14"

_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")


class PipFailed(Exception):
    """pip found no solution; the message is its own."""


class Pip:
    """What pip says of requirements. Nothing is installed."""

    def __init__(self, python: str, wheels: str | None):
        self._command = [python, "-m", "pip", "--disable-pip-version-check", "install", "--dry-run", "--quiet"]
        self._command += ["--ignore-installed", "--report", "-", "--only-binary=:all:"]
        # pip wants one where it chooses for another Python; in a dry run nothing is written there.
        self._command += ["--target", os.path.join(tempfile.gettempdir(), "weir-nothing")]
        self._command += ["--python-version", PYTHON_VERSION, "--implementation", "cp"]
        if wheels:
            self._command += ["--no-index", "--find-links", wheels]

    def resolve(self, requirements: list[str], dependencies: bool = True) -> dict[str, dict[str, Any]]:
        """Each package by its name: its entry in pip's report."""
        if not requirements:
            return {}
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
            file.write("\n".join(requirements))
            file.flush()
            command = [*self._command, *([] if dependencies else ["--no-deps"]), "-r", file.name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PipFailed(done.stderr.strip())
        found = json.loads(done.stdout)["install"]
        return {normal(entry["metadata"]["name"]): entry for entry in found}


def read(path: str) -> list[str]:
    """The requirements of a file, one a line, and of those that it names with `-r`."""
    if not os.path.exists(path):
        return []
    found = []
    with open(path, encoding="utf-8-sig") as file:
        for line in file.read().replace("\\\n", " ").split("\n"):
            text = line.partition(" #")[0].strip()
            if text.startswith(("-r ", "--requirement ")):
                found += read(os.path.join(os.path.dirname(path), text.split(None, 1)[1]))
            elif text and not text.startswith(("#", "-")):
                found.append(text.partition(" --hash")[0].strip())
    return found


def name_of(requirement: str) -> str:
    match = _NAME.match(requirement)
    return normal(match[1]) if match else requirement


def plan(folder: str, pip: Pip, base: list[str]) -> dict[str, Any]:
    report: dict[str, Any] = {
        "install": [],
        "served": [],
        "instead": [],
        "implied": [],
        "native": [],
        "missing": [],
        "problem": None,
    }
    asked = read(os.path.join(folder, "requirements.txt"))
    report["served"] = sorted({name_of(text) for text in asked if name_of(text) in SHIMMED})
    used = scan(folder)
    imported = {top: normal(package) for top, package in used["modules"].items()}
    if any(found["module"].startswith("promptflow.tools") for file in used["files"] for found in file["imports"]):
        imported["promptflow.tools"] = "promptflow_tools"
    imported.pop("promptflow", None)
    named = {name_of(text) for text in asked}
    implied = sorted(set(imported.values()) & COMES_WITH_PROMPTFLOW - named)
    report["implied"] = implied
    wanted = [text for text in asked if name_of(text) not in SHIMMED] + [_published(name) for name in implied]
    try:
        resolved, roots = _resolve(
            pip, [*_without(base, wanted), *(text for text in wanted if name_of(text) not in INSTEAD)]
        )
        _take_instead(pip, wanted, resolved, roots, report)
    except PipFailed as failed:
        report["problem"] = str(failed)
        return report
    for name, (entry, required_by) in sorted(_reached(resolved, roots).items()):
        _sort(report, name, entry, required_by, name in imported.values())
    have = set(resolved) | SHIMMED
    for top, package in sorted(imported.items()):
        # Packages of one name space, such as azure, have names of their own.
        if package not in have and not any(name.startswith(normal(top) + "_") for name in have):
            files = [file["path"] for file in used["files"] if any(_is_of(found, top) for found in file["imports"])]
            report["missing"].append({"module": top, "package": package.replace("_", "-"), "files": files})
    return report


def _is_of(found: dict[str, Any], top: str) -> bool:
    return found["module"] == top or found["module"].startswith(top + ".")


def _published(name: str) -> str:
    by_name = {normal(package): package for package in PACKAGE_OF.values()}
    return by_name.get(name, name.replace("_", "-"))


def _without(base: list[str], wanted: list[str]) -> list[str]:
    """The runtime's own requirements, but for those of which the flow says which it wants."""
    named = {name_of(text) for text in wanted}
    return [text for text in base if name_of(text) not in named]


def _resolve(pip: Pip, requirements: list[str]) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """All packages, and which of them were asked for."""
    alone = [text for text in requirements if name_of(text) in NEEDS_ONLY]
    whole = [text for text in requirements if name_of(text) not in NEEDS_ONLY]
    have = {name_of(text) for text in whole}
    for text in alone:
        whole += [needed for needed in NEEDS_ONLY[name_of(text)] if name_of(needed) not in have]
    resolved = pip.resolve(whole) | pip.resolve(alone, dependencies=False)
    return resolved, {name_of(text) for text in [*whole, *alone]}


def _take_instead(
    pip: Pip, wanted: list[str], resolved: dict[str, dict[str, Any]], roots: set[str], report: dict[str, Any]
) -> None:
    """Adds packages that have a pure version, unless another package has brought the one that is not."""
    for asked in wanted:
        name = name_of(asked)
        if name not in INSTEAD:
            continue
        roots.add(name)
        if name not in resolved:
            taken, why = INSTEAD[name]
            resolved.update({key: entry for key, entry in pip.resolve([taken]).items() if key not in resolved})
            report["instead"].append({"name": name, "asked": asked, "taken": taken, "why": why})


def _reached(resolved: dict[str, dict[str, Any]], roots: set[str]) -> dict[str, tuple[dict[str, Any], list[str]]]:
    """The packages that are needed when those are left out which the runtime serves, and what asks for each."""
    reached: dict[str, tuple[dict[str, Any], list[str]]] = {}
    waiting = [(name, "requirements.txt") for name in sorted(roots)]
    while waiting:
        name, by = waiting.pop()
        if name in SHIMMED or name not in resolved:
            continue
        if name in reached:
            if by not in reached[name][1]:
                reached[name][1].append(by)
            continue
        entry = resolved[name]
        reached[name] = (entry, [by])
        if name not in NEEDS_ONLY:
            needed = entry["metadata"].get("requires_dist", [])
            waiting += [(name_of(text), entry["metadata"]["name"]) for text in needed if "extra ==" not in text]
    return reached


def _sort(report: dict[str, Any], name: str, entry: dict[str, Any], required_by: list[str], imported: bool) -> None:
    """Puts a package under `install` or `native`."""
    metadata = entry["metadata"]
    wheel = entry["download_info"]["url"].rsplit("/", 1)[-1]
    told = {"name": metadata["name"], "version": metadata["version"], "wheel": wheel}
    if name in INSTEAD and not told["version"].startswith("1."):
        told |= {
            "reason": "another package needs version 2, which has a native core",
            "replacement": None,
            "required_by": required_by,
        }
        report["native"].append({**told, "imported": imported})
    elif wheel.endswith("-none-any.whl") and replacement(name) is None:
        report["install"].append({**told, "strip": False})
    elif name in PURE_FALLBACK:
        report["install"].append({**told, "strip": True})
    else:
        tags = wheel.removesuffix(".whl").split("-", 2)[-1]
        pure = wheel.endswith("-none-any.whl")
        reason = "it needs native code" if pure else f"its only wheels hold native code ({tags})"
        told |= {"reason": reason, "replacement": replacement(name), "required_by": required_by}
        report["native"].append({**told, "imported": imported})


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="weir_python.requirements", description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--wheels", help="take packages from this folder alone")
    parser.add_argument("--python", default=sys.executable, help="whose pip is asked")
    parser.add_argument("--base", help="a file of the runtime's own requirements")
    given = parser.parse_args(arguments)
    report = plan(given.folder, Pip(given.python, given.wheels), read(given.base) if given.base else [])
    json.dump(report, sys.stdout, indent=2)
    print()
    stops = any(package["imported"] for package in report["native"])
    return 1 if stops or report["missing"] or report["problem"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
