import csv
from functools import lru_cache
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"


class Catalogue:
    @staticmethod
    @lru_cache
    def products():
        with open(DATA / "products.csv", newline="", encoding="utf-8") as file:
            return {row["name"]: float(row["price"]) for row in csv.DictReader(file)}

    @classmethod
    def price(cls, product):
        try:
            return cls.products()[product]
        except KeyError:
            raise LookupError(f"no product {product!r}; there are {', '.join(sorted(cls.products()))}") from None
