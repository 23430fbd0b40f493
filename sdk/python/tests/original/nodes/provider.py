from promptflow.core import ToolProvider, tool


class Greeter(ToolProvider):
    def __init__(self, greeting: str, mark: str = "!"):
        super().__init__()
        self.greeting, self.mark = greeting, mark

    @tool
    def greet(self, name: str) -> str:
        return f"{self.greeting} {name}{self.mark}"
