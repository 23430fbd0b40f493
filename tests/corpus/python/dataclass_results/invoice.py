from models import Invoice, Line

from promptflow.core import tool


@tool
def invoice(order: dict) -> Invoice:
    return Invoice(order["id"], [Line(**line) for line in order["lines"]], order.get("customer"))
