"""What is found in sources, and what becomes of requirements."""

import tempfile
from pathlib import Path

from weir_python import known
from weir_python.requirements import PipFailed, plan, read
from weir_python.scan import scan, scan_source

from .case import Case


class Sources(Case):
    def scanned(self, source):
        return scan_source("a.py", source.encode(), {"helper"})

    def test_tools_imports_and_what_they_ask_for(self):
        found = self.scanned(
            """
import os, requests as r, helper
from bs4 import BeautifulSoup
from promptflow.core import tool as t
from promptflow.connections import CustomConnection
API = "https://api.search.test/v1/find?q="
@t
def f(conn: "CustomConnection", q: str):
    key, level = os.environ["KEY"], os.getenv("LEVEL", "3")
    with open("data/index.json") as file:
        pass
    return r.get(API + q)
"""
        )
        self.assertEqual(found.tools, [{"name": "f", "line": 8}])
        kinds = {entry["module"]: entry["kind"] for entry in found.imports}
        self.assertEqual(
            kinds,
            {
                "os": "stdlib", "requests": "package", "helper": "flow", "bs4": "package", "promptflow.core": "shim",
                "promptflow.connections": "shim",
            },
        )  # fmt: skip
        self.assertEqual(
            found.hosts, [{"url": "https://api.search.test/v1/find?q=", "origin": "https://api.search.test", "line": 6}]
        )
        self.assertEqual([variable["name"] for variable in found.variables], ["KEY", "LEVEL"])
        self.assertEqual(found.opened, [{"path": "data/index.json", "mode": "r", "line": 10}])
        self.assertEqual(
            found.connections, [{"class": "CustomConnection", "parameter": "conn", "function": "f", "line": 8}]
        )
        self.assertEqual(found.cannot, [])

    def test_what_cannot_run_is_told_with_its_line(self):
        found = self.scanned(
            """
import subprocess
import numpy as np
from concurrent.futures import ThreadPoolExecutor
def f():
    import ctypes
    subprocess.run(["ls"])
    open("x", "w")
if __name__ == "__main__":
    subprocess.run(["ls"])
"""
        )
        told = [(entry["line"], entry["what"], entry["level"]) for entry in found.cannot]
        self.assertEqual(
            told,
            [
                (3, "numpy", "error"),
                (4, "concurrent.futures.ThreadPoolExecutor", "warning"),
                (6, "ctypes", "warning"),
                (7, "subprocess", "error"),
                (8, "open", "warning"),
            ],
        )

    def test_a_source_that_is_none(self):
        self.assertEqual(self.scanned("def f(:").cannot[0]["what"], "syntax")

    def test_a_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.py").write_text("import yaml, b\nfrom promptflow.tools.aoai import chat\n")
            (Path(folder) / "b.py").write_text("U = 'https://x.test/1'\n")
            report = scan(folder)
        self.assertEqual(report["modules"], {"yaml": "pyyaml", "promptflow": "promptflow-tools"})
        self.assertEqual(report["grants"], {"http": ["https://x.test"], "config": []})


class FakePip:
    """Answers as pip reports: name, wheel, and what it needs."""

    def __init__(self, **packages):
        self._packages = packages
        self.asked = []

    def resolve(self, requirements, dependencies=True):
        self.asked.append((requirements, dependencies))
        if "broken" in requirements:
            raise PipFailed("no such version")
        found, waiting = {}, [known.normal(text.split("==")[0]) for text in requirements]
        while waiting:
            name = waiting.pop()
            if name in found or name not in self._packages:
                continue
            wheel, needs = self._packages[name]
            found[name] = {
                "metadata": {"name": name, "version": "1", "requires_dist": needs},
                "download_info": {"url": f"https://index.test/{wheel}"},
            }
            if dependencies:
                waiting += needs
        return found


class Requirements(Case):
    def planned(self, requirements, source, pip):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "requirements.txt").write_text(requirements)
            (Path(folder) / "a.py").write_text(source)
            return plan(folder, pip, ["jinja2==3"])

    PIP = {
        "jinja2": ("jinja2-1-py3-none-any.whl", ["markupsafe"]),
        "markupsafe": ("markupsafe-1-cp314-cp314-linux.whl", []),
        "requests": ("requests-1-py3-none-any.whl", []),
        "numpy": ("numpy-1-cp314-cp314-linux.whl", []),
        "openai": ("openai-1-py3-none-any.whl", ["jiter"]),
        "jiter": ("jiter-1-cp314-cp314-linux.whl", []),
        "needs_openai": ("needs_openai-1-py3-none-any.whl", ["openai", "extra; extra == 'all'"]),
        "promptflow_tools": ("promptflow_tools-1-py3-none-any.whl", ["numpy"]),
    }

    def test_pure_packages_go_in_and_native_ones_are_named(self):
        report = self.planned("numpy\nneeds-openai # why\nopenai>=1\n", "import numpy, requests", FakePip(**self.PIP))
        self.assertEqual(
            [(package["name"], package["strip"]) for package in report["install"]],
            [("jinja2", False), ("markupsafe", True), ("needs_openai", False), ("requests", False)],
        )
        self.assertEqual((report["served"], report["implied"], report["missing"]), (["openai"], ["requests"], []))
        native = report["native"][0]
        self.assertEqual(
            (native["name"], native["imported"], native["required_by"]), ("numpy", True, ["requirements.txt"])
        )
        self.assertIn("lists", native["replacement"])

    def test_what_tools_of_prompt_flow_need_is_known_better_than_they_say(self):
        pip = FakePip(**self.PIP)
        report = self.planned("promptflow-tools", "from promptflow.tools.aoai import chat", pip)
        self.assertEqual(
            [package["name"] for package in report["install"]], ["jinja2", "markupsafe", "promptflow_tools", "requests"]
        )
        self.assertIn((["promptflow-tools"], False), pip.asked)

    def test_what_no_package_has(self):
        report = self.planned("", "import foo_bar", FakePip(**self.PIP))
        self.assertEqual(report["missing"], [{"module": "foo_bar", "package": "foo-bar", "files": ["a.py"]}])

    def test_pydantic_is_taken_in_its_pure_version_unless_another_package_needs_the_other(self):
        class Pip(FakePip):
            def resolve(self, requirements, dependencies=True):
                found = super().resolve([text.replace("<2", "") for text in requirements], dependencies)
                if "pydantic" in found:
                    version = "1.10" if "pydantic<2" in requirements else "2.1"
                    found["pydantic"]["metadata"]["version"] = version
                return found

        packages = {
            "pydantic": ("pydantic-1-cp314-cp314-linux.whl", []),
            "chain": ("chain-1-py3-none-any.whl", ["pydantic"]),
        }
        report = self.planned("pydantic>=2", "import pydantic", Pip(**packages))
        self.assertEqual([(package["name"], package["strip"]) for package in report["install"]], [("pydantic", True)])
        self.assertEqual((report["instead"][0]["asked"], report["native"]), ("pydantic>=2", []))
        report = self.planned("pydantic>=2\nchain", "import pydantic", Pip(**packages))
        self.assertEqual([package["name"] for package in report["native"]], ["pydantic"])

    def test_packages_that_share_a_name_space_are_found(self):
        pip = FakePip(azure_search_documents=("azure_search_documents-1-py3-none-any.whl", []))
        report = self.planned("azure-search-documents", "from azure.search.documents import SearchClient", pip)
        self.assertEqual(report["missing"], [])

    def test_what_pip_says_is_passed_on(self):
        self.assertEqual(self.planned("broken", "", FakePip())["problem"], "no such version")

    def test_a_file_of_requirements_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "requirements.txt"
            path.write_text(
                "\ufeff# all\na==1 \\\n  --hash=sha256:0\n\n-r more.txt\n--index-url x\nb>=2 ; python_version > '3'  # b\n"
            )
            (Path(folder) / "more.txt").write_text("c\n")
            self.assertEqual(read(str(path)), ["a==1", "c", "b>=2 ; python_version > '3'"])
