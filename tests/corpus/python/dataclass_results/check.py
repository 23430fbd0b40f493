from models import Invoice, Line

from promptflow.core import tool


@tool
def check(invoice: Invoice, total: float) -> str:
    kinds = f"{type(invoice).__name__} of {sorted({type(line).__name__ for line in invoice.lines})}"
    dearest = max(invoice.lines, key=lambda line: line.total)
    assert isinstance(dearest, Line)
    return f"{kinds}: {total:.2f}, most for {dearest.name} ({dearest.total})"
