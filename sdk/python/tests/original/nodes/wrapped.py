import functools

from promptflow.core import tool
from promptflow.tracing import trace


def twice(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return [function(*args, **kwargs), function(*args, **kwargs)]

    return wrapper


@trace
def helper(x):
    return x + 1


@tool(name="named", description="told")
@twice
def wrapped(x: int):
    return helper(x)
