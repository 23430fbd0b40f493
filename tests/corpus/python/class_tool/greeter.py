from promptflow.core import ToolProvider, tool


class Greeter(ToolProvider):
    def __init__(self, prefix: str, times: int = 1):
        super().__init__()
        self.prefix = prefix * times

    @tool
    def greet(self, text: str) -> str:
        return self.prefix + text
