"""What the Python files of a flow folder need, found without running them. On the developer's machine:

    python3 -m weir_python.scan FLOW_DIR

prints one JSON object:

| key | is |
| --- | --- |
| `files` | for each file: `tools`, `imports`, `hosts`, `variables`, `opened`, `connections`, `cannot`, each entry with its `line` |
| `modules` | the modules imported that are neither Python's, the flow's nor served here: `{"requests": "requests"}`, with the package that each is of |
| `grants` | what the nodes will want: `http` (addresses found in texts), `config` (variables that are read) |
| `cannot` | all that cannot run, with `file`, `line`, `what`, `reason` and `level`: `error` if it is done when the module is imported or the whole is of no use, else `warning` |

A text is a fact about the source, not about what it does: an address that is put together at run time is not found,
and one in a comment of a prompt is. Standard library alone, so that it runs wherever Python does.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from .known import NATIVE, NOT_HERE, PACKAGE_OF, SHIMMED, SHIMMED_MODULES

LEFT_OUT = {"__pycache__", ".git", ".weir", ".promptflow", ".venv", "venv", "node_modules", ".runs", ".vscode"}

_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d+)?[^\s'\"<>\\)}\]]*")
_NO_SERVICE = {"example.com", "www.example.com", "json-schema.org", "aka.ms", "azuremlschemas.azureedge.net"}

#: Calls that cannot work, by the full name that the source means.
_CANNOT = {
    "subprocess": ("other programs cannot be started in a component", "error"),
    "os.system": ("other programs cannot be started in a component", "error"),
    "os.popen": ("other programs cannot be started in a component", "error"),
    "os.fork": ("other processes cannot be started in a component", "error"),
    "os.execv": ("other programs cannot be started in a component", "error"),
    "multiprocessing": ("other processes cannot be started in a component: do one thing after the other", "error"),
    "concurrent.futures.ProcessPoolExecutor": ("other processes cannot be started: use ThreadPoolExecutor", "error"),
    "threading.Thread": ("there are no threads: the target runs to its end inside `start`", "warning"),
    "threading.Timer": ("there are no threads: use `limits.timeout` of the node", "error"),
    "concurrent.futures.ThreadPoolExecutor": ("there are no threads: work runs inside `submit`, one after the other", "warning"),
    "socket.socket": ("sockets speak HTTP alone, by the grants of the node", "warning"),
    "http.server": ("a node is called by its flow and cannot serve", "error"),
    "socketserver": ("a node is called by its flow and cannot serve", "error"),
    "asyncio.create_subprocess_exec": ("other programs cannot be started in a component", "error"),
    "asyncio.create_subprocess_shell": ("other programs cannot be started in a component", "error"),
    "asyncio.open_connection": ("there are no sockets: send requests over HTTP", "error"),
    "smtplib": ("there are no sockets: send mail by a service over HTTP", "error"),
    "ftplib": ("there are no sockets: fetch files over HTTP", "error"),
    "imaplib": ("there are no sockets: read mail by a service over HTTP", "error"),
    "poplib": ("there are no sockets: read mail by a service over HTTP", "error"),
    "tempfile.mkstemp": ("there are no descriptors of files: use NamedTemporaryFile", "error"),
    "signal.signal": ("there are no signals in a component", "warning"),
    "sqlite3.connect": ("in memory it works; a file has to be in a folder of `grants.files`", "warning"),
    "importlib.reload": ("modules are in the snapshot; reloading one compiles it at every run", "warning"),
    "promptflow.client.PFClient": ("a node cannot manage flows and runs: use `weir run` and `weir serve` from outside", "warning"),
    "promptflow.PFClient": ("a node cannot manage flows and runs: use `weir run` and `weir serve` from outside", "warning"),
    "promptflow.load_flow": ("a flow cannot be called in a node: make its nodes nodes of this flow", "warning"),
    "openai.ChatCompletion": ("the interface of openai before version 1 is gone: use client.chat.completions.create", "error"),
    "openai.Completion": ("the interface of openai before version 1 is gone: use client.completions.create", "error"),
    "openai.Embedding": ("the interface of openai before version 1 is gone: use client.embeddings.create", "error"),
}  # fmt: skip

_OPENERS = {"open", "io.open", "codecs.open", "pandas.read_csv", "sqlite3.connect"}
_CONNECTION_CLASS = re.compile(r"^\w*Connection$")


@dataclass
class File:
    """What was found in one file."""

    path: str
    tools: list[dict[str, Any]] = field(default_factory=list)
    imports: list[dict[str, Any]] = field(default_factory=list)
    hosts: list[dict[str, Any]] = field(default_factory=list)
    variables: list[dict[str, Any]] = field(default_factory=list)
    opened: list[dict[str, Any]] = field(default_factory=list)
    connections: list[dict[str, Any]] = field(default_factory=list)
    cannot: list[dict[str, Any]] = field(default_factory=list)


def scan(folder: str) -> dict[str, Any]:
    """The report on a flow folder."""
    paths = sorted(python_files(folder))
    local = local_modules(paths)
    files = [scan_source(path, _read(os.path.join(folder, path)), local) for path in paths]
    modules: dict[str, str] = {}
    for file in files:
        for found in file.imports:
            if found["kind"] == "package":
                modules[found["module"].partition(".")[0]] = found["package"]
    hosts = sorted({host["origin"] for file in files for host in file.hosts})
    variables = sorted({variable["name"] for file in files for variable in file.variables})
    return {
        "files": [asdict(file) for file in files],
        "modules": modules,
        "grants": {"http": hosts, "config": variables},
        "cannot": [{"file": file.path, **found} for file in files for found in file.cannot],
    }


def python_files(folder: str) -> Iterator[str]:
    for current, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in LEFT_OUT and not name.startswith(".")]
        for name in names:
            if name.endswith(".py"):
                yield os.path.relpath(os.path.join(current, name), folder).replace(os.sep, "/")


def local_modules(paths: list[str]) -> set[str]:
    """The top-level modules of a flow. Folders are packages also without a file that says so."""
    return {path.split("/")[0].removesuffix(".py") for path in paths}


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def scan_source(path: str, source: bytes, local: set[str]) -> File:
    file = File(path)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        file.cannot.append({"line": line, "what": "syntax", "reason": str(error), "level": "error"})
        return file
    _Visitor(file, local).visit(tree)
    return file


class _Visitor(ast.NodeVisitor):
    def __init__(self, file: File, local: set[str]):
        self.file, self.local = file, local
        #: What a name in the source means: `{"req": "requests", "Thread": "threading.Thread"}`.
        self.names: dict[str, str] = {}
        self.depth = 0
        self.owner: str | None = None
        self.told: set[tuple[int, str]] = set()

    # Imports.

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.names[alias.asname or alias.name.partition(".")[0]] = (
                alias.name if alias.asname else alias.name.partition(".")[0]
            )
            self._imported(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.level or not node.module:
            return
        for alias in node.names:
            self.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        self._imported(node.module, node.lineno)
        for alias in node.names:
            self._uses(f"{node.module}.{alias.name}", node.lineno, imported=True)

    def _imported(self, module: str, line: int) -> None:
        top = module.partition(".")[0]
        kind, package = _kind(module, self.local)
        entry: dict[str, Any] = {"module": module, "line": line, "kind": kind}
        if package:
            entry["package"] = package
        self.file.imports.append(entry)
        level = "warning" if self.depth else "error"
        if kind == "stdlib" and top in NOT_HERE:
            reason = f"{top} is not part of Python in a component: {NOT_HERE[top]}"
            # Such a module is there or not; those that are there fail when they are used.
            self._cannot(line, top, reason, level if top != "multiprocessing" else "warning")
        elif kind == "package" and top in NATIVE:
            self._cannot(line, top, f"{top} has native code, which a component cannot hold: {NATIVE[top]}", level)

    # Definitions.

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        if any(self._is_tool(decorator) for decorator in node.decorator_list):
            tool: dict[str, Any] = {"name": node.name, "line": node.lineno}
            if self.owner:
                tool["class"] = self.owner
            self.file.tools.append(tool)
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            for kind in _class_names(argument.annotation):
                if _CONNECTION_CLASS.match(kind):
                    found = {"class": kind, "parameter": argument.arg, "function": node.name, "line": argument.lineno}
                    self.file.connections.append(found)
        for decorator in node.decorator_list:
            self.visit(decorator)
        for default in [*node.args.defaults, *[value for value in node.args.kw_defaults if value]]:
            self.visit(default)
        self.depth += 1
        for statement in node.body:
            self.visit(statement)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        outer, self.owner = self.owner, node.name
        self.generic_visit(node)
        self.owner = outer

    def visit_If(self, node: ast.If) -> None:
        # What stands under `if __name__ == "__main__"` is not of the node.
        test = node.test
        if isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__":
            return
        self.generic_visit(node)

    def _is_tool(self, decorator: ast.expr) -> bool:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = self._meaning(called) or ""
        return name.startswith("promptflow") and name.endswith(".tool")

    # What is used.

    def _meaning(self, node: ast.expr) -> str | None:
        """The full name of what an expression refers to."""
        if isinstance(node, ast.Name):
            return self.names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            base = self._meaning(node.value)
            return f"{base}.{node.attr}" if base else None
        return None

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._meaning(node)
        if name:
            self._uses(name, node.lineno)
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in self.names:
            self._uses(self.names[node.id], node.lineno)

    def _uses(self, name: str, line: int, imported: bool = False) -> None:
        for known, (reason, level) in _CANNOT.items():
            if name != known and not name.startswith(known + "."):
                continue
            # To import a module is not to use it.
            if not (imported and "." not in known):
                self._cannot(line, known, reason, level if self.depth == 0 or level == "warning" else "error")

    def _cannot(self, line: int, what: str, reason: str, level: str) -> None:
        if (line, what) not in self.told:
            self.told.add((line, what))
            self.file.cannot.append({"line": line, "what": what, "reason": reason, "level": level})

    def visit_Call(self, node: ast.Call) -> None:
        name = self._meaning(node.func) or ""
        first = node.args[0] if node.args else None
        text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        if text is not None:
            self._called(name, text, node)
        self.generic_visit(node)

    def _called(self, name: str, text: str, node: ast.Call) -> None:
        if name in ("os.getenv", "os.environ.get", "os.environ.pop", "os.environ.setdefault"):
            self.file.variables.append({"name": text, "line": node.lineno, "default": len(node.args) > 1})
        elif name in _OPENERS and text != ":memory:":
            mode = node.args[1] if len(node.args) > 1 else None
            shown = mode.value if isinstance(mode, ast.Constant) and isinstance(mode.value, str) else "r"
            self.file.opened.append({"path": text, "mode": shown, "line": node.lineno})
            if set(shown) & set("wax+") and not text.startswith("/tmp/"):
                reason = "files are written below /tmp, in memory, or in a folder of `grants.files` with `write: true`"
                self._cannot(node.lineno, "open", reason, "warning")
        elif name.endswith("Prompty.load"):
            self.file.opened.append({"path": text, "mode": "r", "line": node.lineno})
        elif name.endswith((".connections.get", "ConnectionProvider.get")):
            self.file.connections.append({"name": text, "line": node.lineno})

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if self._meaning(node.value) == "os.environ" and isinstance(node.slice, ast.Constant):
            self.file.variables.append({"name": str(node.slice.value), "line": node.lineno, "default": False})
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            for match in _URL.finditer(node.value):
                self._url(match[0], node.lineno)

    def _url(self, url: str, line: int) -> None:
        origin = "/".join(url.split("/")[:3])
        host = origin.split("//")[1].partition(":")[0]
        if host in _NO_SERVICE or ("." not in host and host != "localhost"):
            return
        self.file.hosts.append({"url": url.rstrip(".,;"), "origin": origin.rstrip("."), "line": line})


def _class_names(annotation: ast.expr | None) -> list[str]:
    """The names of classes in an annotation, also in one that is text."""
    if annotation is None:
        return []
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return []
    return [
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(annotation)
        if isinstance(node, (ast.Name, ast.Attribute))
    ]


def _kind(module: str, local: set[str]) -> tuple[str, str | None]:
    """What a module is: `flow`, `stdlib`, `shim`, or `package` with the name of the package that has it."""
    top = module.partition(".")[0]
    if module == "promptflow.tools" or module.startswith("promptflow.tools."):
        return "package", "promptflow-tools"
    if top in SHIMMED or module.startswith(SHIMMED_MODULES):
        return "shim", None
    if top in local:
        return "flow", None
    if top in sys.stdlib_module_names:
        return "stdlib", None
    return "package", PACKAGE_OF.get(top, top.replace("_", "-"))


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not os.path.isdir(arguments[0]):
        print("usage: python3 -m weir_python.scan FLOW_DIR", file=sys.stderr)
        return 2
    json.dump(scan(arguments[0]), sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
