"""Images and texts in the form of a flow's `message_format`, and as prompt flow's `Image` and `Text`.

| format | an image is |
| --- | --- |
| `basic` | `{"data:image/png;base64": "…"}`, `…;url`, `…;path` |
| `openai-vision` | `{"type": "image_url", "image_url": {"url": "…"}}`, `{"type": "image_file", "image_file": {"path": "…"}}` |

An image that is given by its address is fetched, as prompt flow does; if the node is not granted to, it has no bytes
and keeps its address, which is all that a model needs.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Callable
from typing import Any

MIME_PATTERN = re.compile(r"^data:image/(.*);(path|base64|url)$")
_PREFIX = re.compile(r"^data:image/(.*);base64")
_BASE64 = re.compile(r"^([A-Za-z0-9+/]{4})*(([A-Za-z0-9+/]{2})*(==|[A-Za-z0-9+/]=)?)?$")


class InvalidImageInput(Exception):
    """Prompt flow's name for what is no image."""


def message_format() -> str:
    from .build import State

    return State.message_format


def is_image_kind(kinds: list[Any]) -> bool:
    from promptflow.contracts.multimedia import Image

    return kinds == [Image]


def is_image(value: dict[str, Any]) -> bool:
    if message_format() == "openai-vision":
        kind = value.get("type")
        if len(value) != 2 or kind not in ("image_url", "image_file"):
            return False
        inner = value.get(kind)
        return isinstance(inner, dict) and ("url" if kind == "image_url" else "path") in inner
    return len(value) == 1 and MIME_PATTERN.match(str(next(iter(value)))) is not None


def is_text(value: dict[str, Any]) -> bool:
    if message_format() != "openai-vision" or len(value) != 2 or value.get("type") != "text":
        return False
    text = value.get("text")
    return isinstance(text, str) or (isinstance(text, dict) and isinstance(text.get("value"), str))


def revive(value: Any) -> Any:
    """The value with all image objects in it made into images."""
    if isinstance(value, list):
        return [revive(item) for item in value]
    if not isinstance(value, dict):
        return value
    if is_image(value):
        return from_object(value)
    if is_text(value):
        from promptflow.contracts.multimedia import Text

        return Text.deserialize(value)
    return {key: revive(item) for key, item in value.items()}


def to_image(value: Any) -> Any:
    """The value of a parameter that is annotated as `Image`."""
    from promptflow.contracts.multimedia import PFBytes

    if value is None or isinstance(value, PFBytes):
        return value
    if isinstance(value, dict):
        if not is_image(value):
            raise InvalidImageInput(
                "Invalid image input format. The image input should be a dictionary like: "
                "{data:image/<image_type>;[path|base64|url]: <image_data>}."
            )
        return from_object(value)
    if isinstance(value, list):
        return [to_image(item) for item in value]
    if not isinstance(value, str):
        raise InvalidImageInput(
            f"Unsupported image input type: {type(value)}. The image inputs should be a string or a dictionary."
        )
    if not value:
        raise InvalidImageInput("The image input should not be empty.")
    if is_base64(value):
        return from_base64(value)
    return from_url(value) if is_url(value) else from_file(value)


def from_object(value: dict[str, Any]) -> Any:
    if "type" in value and message_format() == "openai-vision":
        inner = value[value["type"]]
        if value["type"] == "image_file":
            return from_file(inner["path"])
        return from_base64(inner["url"]) if is_base64(inner["url"]) else from_url(inner["url"])
    key, content = next(iter(value.items()))
    kind, form = MIME_PATTERN.match(key).groups()
    made: dict[str, Callable[..., Any]] = {"path": from_file, "base64": from_base64, "url": from_url}
    return made[form](content, f"image/{kind}")


def is_url(value: str) -> bool:
    from urllib.parse import urlparse

    try:
        parts = urlparse(value)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def is_base64(value: str) -> bool:
    parts = value.split(",")
    if len(parts) == 2:
        return bool(_PREFIX.match(parts[0]) and _BASE64.match(parts[1]))
    return len(parts) == 1 and _BASE64.match(value) is not None


def from_base64(value: str, mime: str | None = None) -> Any:
    from promptflow.contracts.multimedia import Image

    head, _, content = value.rpartition(",")
    if mime is None and head.startswith("data:image/"):
        mime = head[len("data:") :].split(";")[0]
    return Image(base64.b64decode(content), mime_type=mime)


def from_file(path: Any, mime: str | None = None) -> Any:
    from promptflow.contracts.multimedia import Image

    with open(path, "rb") as file:
        return Image(file.read(), mime_type=mime)


def from_url(url: str, mime: str | None = None) -> Any:
    from promptflow.contracts.multimedia import Image

    from . import web

    try:
        reply = web.request("GET", url, {}, b"")
        status, content = reply.status, reply.read()
    except web.RequestFailed as error:
        print(f"the image at {url} is passed on without its bytes: {error}", file=sys.stderr)
        return Image(b"", mime_type=mime, source_url=url)
    if status != 200:
        text = content.decode("utf-8", "replace")
        raise InvalidImageInput(f"Failed to fetch image from URL: {url}. Error code: {status}. Error message: {text}.")
    return Image(content, mime_type=mime, source_url=url)


def to_json(image: Any) -> dict[str, Any]:
    """An image as an object of the flow's format."""
    if message_format() == "openai-vision":
        return {"type": "image_url", "image_url": {"url": image.source_url or image.to_base64(with_type=True)}}
    if image.source_url and not len(image):
        return {f"data:{image._mime_type};url": image.source_url}
    return {f"data:{image._mime_type};base64": image.to_base64()}
