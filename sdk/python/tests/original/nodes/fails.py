from promptflow.core import tool
from promptflow.exceptions import SystemErrorException, UserErrorException, ValidationException


class MyError(UserErrorException):
    pass


class Odd(Exception):
    def __str__(self):
        return "odd"


@tool
def fails(kind: str):
    if kind == "value":
        raise ValueError("boom happened")
    if kind == "key":
        return {}["missing"]
    if kind == "zero":
        return 1 / 0
    if kind == "odd":
        raise Odd("not shown")
    if kind == "chained":
        try:
            raise ValueError("inner")
        except ValueError as error:
            raise RuntimeError("outer") from error
    if kind == "user":
        raise UserErrorException("told to the user")
    if kind == "mine":
        raise MyError(message_format="count {count} of {unknown}", count=3)
    if kind == "system":
        raise SystemErrorException("the service")
    if kind == "validation":
        raise ValidationException("not valid", error=ValueError("x"))
    if kind == "assert":
        assert kind == "other", "assertion text"
    if kind == "empty":
        raise Exception()
    if kind == "multi":
        raise ValueError("line one\nline two")
    return None
