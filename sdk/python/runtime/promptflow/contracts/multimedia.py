"""Images and texts with annotations. How they cross to the host is in weir_python/images.py."""

import base64
import hashlib

#: The first bytes by which a picture is known.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
)


def _mime_of(content: bytes):
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for start, mime in _SIGNATURES if content.startswith(start)), "image/*")


class PFBytes(bytes):
    """Bytes of a known kind."""

    def __new__(cls, value: bytes, *args, **kwargs):
        return super().__new__(cls, value)

    def __init__(self, value: bytes, mime_type: str, source_url=None):
        super().__init__()
        self._hash = hashlib.sha1(value).hexdigest()[:8]
        self._mime_type = mime_type.lower()
        self._source_url = source_url

    @property
    def source_url(self):
        return self._source_url

    def to_base64(self, with_type: bool = False):
        text = base64.b64encode(self).decode("utf-8")
        return f"data:{self._mime_type};base64,{text}" if with_type else text


class Image(PFBytes):
    """A picture. Prints as the first digits of its SHA-1."""

    def __init__(self, value: bytes, mime_type: str = None, source_url=None):
        super().__init__(value, mime_type or _mime_of(value), source_url)

    def __str__(self):
        return f"Image({self._hash})"

    def __repr__(self) -> str:
        return f"Image({self._hash})"

    def serialize(self, encoder=None):
        return str(self) if encoder is None else encoder(self)


class Text(str):
    """Text that may have annotations."""

    def __new__(cls, value: str, annotations: list = None):
        text = str.__new__(cls, value)
        text._annotations = annotations
        return text

    @classmethod
    def deserialize(cls, data: dict):
        text = data.get("text", "")
        if isinstance(text, dict):
            return cls(text.get("value", ""), text.get("annotations", []))
        return cls(text)

    def serialize(self):
        text = str.__str__(self)
        if self._annotations is None:
            return {"type": "text", "text": text}
        return {"type": "text", "text": {"value": text, "annotations": self._annotations}}
