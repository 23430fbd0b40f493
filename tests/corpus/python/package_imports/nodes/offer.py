import shop
from shop.pricing import taxes

from promptflow.core import tool


@tool
def offer(product: str, country: str) -> dict:
    price = shop.Catalogue.price(product)
    return {"product": product, "net": price, "gross": taxes.with_tax(price, country), "by": shop.__version__}
