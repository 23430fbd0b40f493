from promptflow.core import tool
from promptflow.tracing import trace


class Maths:
    @trace
    def factorial(self, n: int) -> int:
        if n < 0:
            raise ArithmeticError(f"{n} is below nought")
        return 1 if n < 2 else n * self.factorial(n - 1)


@trace
def steps(n):
    for number in range(n):
        yield number


@tool
def recurse(depth: int) -> int:
    return Maths().factorial(depth) + sum(steps(depth))
