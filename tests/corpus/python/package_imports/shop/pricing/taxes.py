import json
import os

from ..catalogue import DATA

with open(os.path.join(DATA, "taxes.json")) as file:
    TAXES = json.load(file)


def with_tax(price: float, country: str) -> float:
    from decimal import ROUND_HALF_UP, Decimal

    rate = Decimal(str(TAXES.get(country, TAXES["default"])))
    return float((Decimal(str(price)) * (1 + rate)).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP))
