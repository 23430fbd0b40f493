import io
import struct

from promptflow.contracts.multimedia import Image
from promptflow.core import tool


def size_of(data: bytes):
    stream = io.BytesIO(data)
    if stream.read(8) != b"\x89PNG\r\n\x1a\n":
        return None
    stream.seek(16)
    return list(struct.unpack(">II", stream.read(8)))


@tool
def inspect_image(image: Image) -> dict:
    return {
        "image": image,
        "about": {"bytes": len(image), "size": size_of(bytes(image)), "text": str(image), "is": isinstance(image, bytes)},
    }
