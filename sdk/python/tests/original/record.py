"""Runs the cases under prompt flow itself, and writes what it gives into expected.json."""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
NODES = HERE / "nodes"

TYPES = {str: "string", bool: "bool", int: "int", float: "double", list: "list", dict: "object"}


def main():
    logging.disable(logging.CRITICAL)
    os.chdir(NODES)
    sys.path.insert(0, str(NODES))
    cases = json.loads((HERE / "cases.json").read_text())
    expected = [run(case) for case in cases]
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


def run(case):
    from promptflow.executor import FlowExecutor
    from promptflow.executor._script_executor import ScriptExecutor

    if case["entry"].endswith(".py"):
        path = dag(case)
        try:
            executor = FlowExecutor.create(path, connections={}, working_dir=NODES, raise_ex=False)
            result = executor.exec_line(case["inputs"], allow_generator_output=False)
        finally:
            path.unlink()
        output = result.output.get("out") if isinstance(result.output, dict) else result.output
    else:
        path = written({"entry": case["entry"]}, ".flex.yaml")
        try:
            executor = ScriptExecutor(path.name, working_dir=NODES, init_kwargs=case.get("init") or {})
            result = executor.exec_line(case["inputs"], allow_generator_output=False)
        finally:
            path.unlink()
        output = result.output
    error = result.run_info.error
    if error:
        codes = []
        inner = error
        while inner:
            codes.append(inner["code"])
            inner = inner.get("innerError")
        return {"user": codes[0] == "UserError", "code": codes[-1], "message": error["message"]}
    return {"output": plain(output)}


def plain(value):
    import dataclasses

    from promptflow.contracts.multimedia import Image

    if isinstance(value, Image):
        return {f"data:{value._mime_type};base64": value.to_base64()}
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def dag(case):
    """A flow of one node with these inputs."""
    literal = {name: case["inputs"][name] for name in case.get("literal", ())}
    inputs = {name: {"type": TYPES[type(value)]} for name, value in case["inputs"].items() if name not in literal}
    if "picture" in inputs:
        inputs["picture"] = {"type": "image"}
    node = {
        "name": "n",
        "type": "python",
        "source": {"type": "code", "path": case["entry"]},
        "inputs": {name: f"${{inputs.{name}}}" for name in inputs} | literal,
    }
    flow = {"inputs": inputs, "outputs": {"out": {"type": "object", "reference": "${n.output}"}}, "nodes": [node]}
    return written(flow, ".dag.yaml")


def written(flow, ending):
    file = tempfile.NamedTemporaryFile("w", suffix=ending, dir=NODES, delete=False)
    with file:
        json.dump(flow, file)
    return Path(file.name)


if __name__ == "__main__":
    main()
