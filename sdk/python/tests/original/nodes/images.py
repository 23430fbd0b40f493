from promptflow.contracts.multimedia import Image
from promptflow.core import tool


@tool
def images(picture: Image, history: list):
    copy = Image(bytes(picture), mime_type="image/png")
    kinds = [type(part).__name__ for turn in history for part in turn["parts"]]
    return {"hash": str(picture), "mime": picture._mime_type, "bytes": len(picture), "copy": copy, "kinds": kinds}
