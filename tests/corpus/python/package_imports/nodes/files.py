import glob
import os
from pathlib import Path

from promptflow.core import tool


@tool
def files():
    return {
        "relative": open("data/note.txt", encoding="utf-8").read(),
        "glob": sorted(glob.glob("data/*")),
        "listed": sorted(name for name in os.listdir("shop") if not name.startswith("__")),
        "exists": [os.path.exists("data/taxes.json"), Path("data/none.json").exists()],
        "lines": Path("data/products.csv").read_text().count("\n"),
        "missing": missing(),
        "name": os.path.basename(__file__),
        "package": __name__ == "__main__",
    }


def missing():
    try:
        open("data/none.json")
    except FileNotFoundError as error:
        return error.strerror
