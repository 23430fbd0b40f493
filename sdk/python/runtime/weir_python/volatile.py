"""Whether a module, as it is imported, asks for something that is another at each run: the time, chance, the process.

A snapshot would hold the answer of the build for ever: `TODAY = date.today()` would be the day on which the component
was built. Found in the source: calls outside functions, and in the defaults of their parameters.
"""

from __future__ import annotations

import ast

#: Calls by how they end; modules whose every call counts.
_CALLS = frozenset(
    [
        "datetime.now",
        "datetime.today",
        "datetime.utcnow",
        "date.today",
        "time.time",
        "time.time_ns",
        "time.localtime",
        "time.gmtime",
        "time.strftime",
        "time.ctime",
        "uuid.uuid1",
        "uuid.uuid4",
        "os.urandom",
        "os.getpid",
    ]
)
_MODULES = frozenset({"random", "secrets"})


def is_volatile(source: bytes) -> bool:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    names = _imported(tree)
    return any(_counts(call, names) for call in _calls(tree))


def _imported(tree: ast.Module) -> dict[str, str]:
    """What names mean that a module imports: `{"dt": "datetime", "uuid4": "uuid.uuid4"}`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _calls(node: ast.AST):
    """Calls that are made when a module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            defaults = [*child.args.defaults, *[default for default in child.args.kw_defaults if default is not None]]
            for part in [*defaults, *getattr(child, "decorator_list", [])]:
                yield from _calls_of(part)
        elif isinstance(child, ast.If) and _is_main(child.test):
            continue
        else:
            yield from _calls_of(child)


def _calls_of(node: ast.AST):
    if isinstance(node, ast.Call):
        yield node
    yield from _calls(node)


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _counts(call: ast.Call, names: dict[str, str]) -> bool:
    name = _full(call.func, names)
    if name is None:
        return False
    return name.partition(".")[0] in _MODULES or ".".join(name.split(".")[-2:]) in _CALLS


def _full(node: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = _full(node.value, names)
        return f"{base}.{node.attr}" if base else None
    return None
