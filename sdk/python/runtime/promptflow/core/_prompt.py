"""A rendered prompt as the messages of a chat: roles, names, calls of tools, images.

The grammar and its texts are those of prompt flow (`promptflow/core/_prompty_utils.py`, MIT), to the letter: what a
prompt meant there it means here.
"""

import ast
import re
import uuid

from promptflow.contracts.multimedia import Image
from promptflow.core._errors import (
    ChatAPIFunctionRoleInvalidFormat,
    ChatAPIInvalidRoleError,
    ChatAPIToolRoleInvalidFormat,
    JinjaTemplateError,
)
from promptflow.core._utils import render_jinja_template_content

VALID_ROLES = ["system", "user", "assistant", "function", "tool"]
# Compiled here, so that the snapshot has them: to compile a pattern costs a run more than to use it.
_ROLE = re.compile(r"(?i)^\s*#?\s*(" + "|".join(VALID_ROLES) + r")\s*:\s*\n", re.MULTILINE)
_TOOL_CALLS = re.compile(r"\n*#{0,2}\s*tool_calls\s*:\s*\n+\s*(\[.*?\])\s*$", re.DOTALL)
_NAMED = {
    key: re.compile(r"\n*#{0,2}\s*" + key + r"\s*:\s*\n+\s*(\S+)\s*\n*#{0,2}\s*content\s*:\s*\n?(.*)", re.DOTALL)
    for key in ("name", "tool_call_id")
}
_IMAGE = re.compile(r"\!\[(\s*image\s*)\]\(\{\{(\s*[^\s{}]+\s*)\}\}\)")


def messages(template: str, inputs: dict) -> list:
    """Raises the errors above, and JinjaTemplateError."""
    # Roles that a caller writes into an input are hidden while the text is split, or it could speak as the system.
    hidden = {}
    for value in inputs.values():
        _hide_roles(value, hidden)
    shown = {name: _replaced(value, hidden) for name, value in inputs.items()}
    text = render(with_images_apart(template), hidden, **shown)
    chat = parse_chat(text, images_of(inputs), hidden=hidden)
    for message in chat:
        for key, value in message.items():
            message[key] = restored(value, hidden)
    return chat


def with_images_apart(template: str) -> str:
    """Puts each `![image]({{name}})` on a line of its own."""
    return _IMAGE.sub(lambda match: f"\n{{{{{match[2]}}}}}\n", template)


def render(template: str, hidden=None, **inputs) -> str:
    try:
        return render_jinja_template_content(template, trim_blocks=True, keep_trailing_newline=True, **inputs)
    except Exception as error:
        raise JinjaTemplateError(
            f"Failed to render jinja template: {type(error).__name__}: {restored(str(error), hidden or {})}. "
            "Please modify your prompt to fix the issue."
        ) from error


def _hide_roles(value, hidden: dict) -> None:
    if isinstance(value, str):
        for role in _ROLE.findall(value):
            if role not in hidden.values():
                hidden[str(uuid.uuid4())] = role


def _replaced(value, hidden: dict):
    if isinstance(value, str):
        for sign, role in hidden.items():
            value = value.replace(role, sign)
    return value


def restored(value, hidden: dict):
    if isinstance(value, str):
        for sign, role in hidden.items():
            value = value.replace(sign, role)
        return value
    if isinstance(value, list):
        for part in value:
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                part["text"] = restored(part["text"], hidden)
    return value


def images_of(value) -> list:
    """The images anywhere in a value."""
    if isinstance(value, Image):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [image for item in items for image in images_of(item)]


def parse_chat(text: str, images=(), image_detail: str = "auto", hidden=None) -> list:
    by_hash = {str(image): image for image in images}
    chat = []
    for chunk in _ROLE.split(text):
        last = chat[-1] if chat else None
        if last is not None and last["role"] == "tool" and "content" not in last:
            _tool(last, chunk, by_hash, image_detail)
            continue
        if last is not None and last["role"] == "assistant":
            calls = _tool_calls(chunk)
            if calls is not None:
                last["tool_calls"] = calls
                continue
        if last is not None and "content" not in last and "tool_calls" not in last:
            _content(last, chunk, by_hash, image_detail)
            continue
        if chunk.strip():
            chat.append({"role": _role(chunk.strip().lower(), hidden or {})})
    return chat


def _role(role: str, hidden: dict) -> str:
    if role in VALID_ROLES:
        return role
    delimiters = ",".join(f"'{valid}:\\n'" for valid in VALID_ROLES)
    raise ChatAPIInvalidRoleError(
        "The Chat API requires a specific format for prompt definition, and the prompt should include separate "
        f"lines as role delimiters: {delimiters}. Current parsed role '{restored(role, hidden)}'"
        " does not meet the requirement. If you intend to use the Completion API, please select the appropriate"
        " API type and deployment name. If you do intend to use the Chat API, please refer to the guideline at "
        "https://aka.ms/pfdoc/chat-prompt or view the samples in our gallery that contain 'Chat' in the name."
    )


def _named(key: str, chunk: str):
    """A value under `## key:`, and the content after it."""
    match = _NAMED[key].search(chunk)
    return (match[1], match[2]) if match else None


def _content(message: dict, chunk: str, by_hash: dict, image_detail: str) -> None:
    named = _named("name", chunk)
    if named is not None:
        message["name"] = named[0]
        message["content"] = parts(named[1], by_hash, image_detail)
    elif message["role"] == "function":
        raise ChatAPIFunctionRoleInvalidFormat(
            "Failed to parse function role prompt. Please make sure the prompt follows the "
            "format: 'name:\\nfunction_name\\ncontent:\\nfunction_content'. "
            "'name' is required if role is function, and it should be the name of the function "
            "whose response is in the content. May contain a-z, A-Z, 0-9, and underscores, "
            "with a maximum length of 64 characters. See more details in "
            "https://platform.openai.com/docs/api-reference/chat/create#chat/create-name "
            "or view sample 'How to use functions with chat models' in our gallery."
        )
    else:
        message["content"] = parts(chunk, by_hash, image_detail)


def _tool(message: dict, chunk: str, by_hash: dict, image_detail: str) -> None:
    named = _named("tool_call_id", chunk)
    if named is None:
        raise ChatAPIToolRoleInvalidFormat(
            "Failed to parse tool role prompt. Please make sure the prompt follows the "
            "format: 'tool_call_id:\\ntool_call_id\\ncontent:\\ntool_content'. "
            "'tool_call_id' is required if role is tool, and it should be the tool call that this message is responding"
            " to. See more details in https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages"
        )
    message["tool_call_id"] = named[0]
    message["content"] = parts(named[1], by_hash, image_detail)


def _tool_calls(chunk: str):
    match = _TOOL_CALLS.search(chunk)
    if match is None:
        return None
    try:
        return ast.literal_eval(match[1])
    except (SyntaxError, ValueError):
        return None


def parts(text: str, by_hash: dict, image_detail: str):
    """Text, or a list of parts where images stand on lines of their own."""
    text = text.strip()
    found, with_image = [], False
    for line in text.split("\n"):
        image = by_hash.get(line.strip())
        if image is not None:
            with_image = True
            url = image.source_url or image.to_base64(with_type=True)
            found.append({"type": "image_url", "image_url": {"url": url, "detail": image_detail}})
        elif line.strip():
            found.append({"type": "text", "text": line})
    return found if with_image else text
