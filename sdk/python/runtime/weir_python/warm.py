"""Does while the component is built what every run would have to do first: the snapshot has it then.

Nothing here may fail a build. What cannot be done now is done, or fails, when a run asks for it.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util

from . import models
from .archive import FLOW, Archive

#: What prompties need.
PROMPTIES = ("jinja2", "jinja2.sandbox", "ruamel.yaml", "promptflow.core._answer", "promptflow.core._prompt", "openai")


def up(archive: Archive) -> None:
    for name in PROMPTIES:
        _import(name)
    for path in archive:
        if path.startswith(FLOW + "/") and path.endswith(".py"):
            models.find_variables(archive.read(path).decode("utf-8", "replace"))
            for name in imported(archive.read(path)):
                if not _is_of_flow(name, archive):
                    _import(name)
    _answers()
    for path in archive:
        if path.startswith(FLOW + "/") and path.endswith((".prompty", ".jinja2")):
            _template(path)


def imported(source: bytes) -> set[str]:
    """The modules that a source imports anywhere, also inside functions."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def _is_of_flow(name: str, archive: Archive) -> bool:
    """Modules of the flow are left to the flow: importing one may do what only a run should."""
    top = f"{FLOW}/{name.partition('.')[0]}"
    return archive.is_file(top + ".py") or archive.is_folder(top)


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except BaseException:
        return


def _answers() -> None:
    """Reads the annotations of the classes of answers, by making one of each."""
    from openai.types import Completion, CreateEmbeddingResponse
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2, "prompt_tokens_details": {}}
    call = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
    message = {"role": "assistant", "content": "", "tool_calls": [call], "function_call": call["function"]}
    ChatCompletion(choices=[{"message": message, "index": 0}], usage=usage).model_dump()
    ChatCompletionChunk(choices=[{"delta": message, "index": 0}], usage=usage).model_dump()
    Completion(choices=[{"text": "", "index": 0}], usage=usage).model_dump()
    CreateEmbeddingResponse(data=[{"embedding": [], "index": 0}], usage=usage).model_dump()


def _template(path: str) -> None:
    from promptflow.core import _prompt
    from promptflow.core._flow import Prompty
    from promptflow.core._utils import compiled

    try:
        if path.endswith(".prompty"):
            prompty = Prompty.load(source=path)
            _prompt.messages(prompty._template, {})
            text = prompty._template
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        compiled(_prompt.with_images_apart(text)).render()
    except BaseException:
        return
