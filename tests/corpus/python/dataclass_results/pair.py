from promptflow.core import tool


@tool
def pair(customer):
    return (customer, {"none": customer is None})
