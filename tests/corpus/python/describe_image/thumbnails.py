from promptflow.contracts.multimedia import Image
from promptflow.core import tool


@tool
def thumbnails(image: Image) -> list:
    return [image, Image(bytes(image), mime_type="image/png"), "and no more"]
