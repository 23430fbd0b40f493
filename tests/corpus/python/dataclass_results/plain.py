import dataclasses

from models import Invoice

from promptflow.core import tool


@tool
def plain(invoice: Invoice) -> dict:
    return dataclasses.asdict(invoice)
