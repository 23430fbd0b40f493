from tabulate import tabulate

from promptflow.core import tool


@tool
def table(rows: list) -> str:
    return tabulate(rows, headers=["thing", "metres"], tablefmt="github")
