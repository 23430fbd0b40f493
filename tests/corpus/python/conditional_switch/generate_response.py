from promptflow.core import tool


@tool
def generate_response(order_search="", product_info="", product_recommendation="", fallback=None, loud: str = "-") -> str:
    answers = [order_search, product_info, product_recommendation, fallback]
    return next(answer for answer in answers if answer) + " " + loud
