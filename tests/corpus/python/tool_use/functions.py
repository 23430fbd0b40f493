"""The functions that the model may call."""

from promptflow.tracing import trace

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {"type": "string", "description": "The city, such as Paris"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                },
                "required": ["location"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "add_numbers",
            "description": "Add two numbers",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
                "required": ["a", "b"],
            },
        },
    },
]


@trace
def get_current_weather(location, unit="fahrenheit"):
    return {"location": location, "temperature": "72", "unit": unit, "forecast": ["sunny", "windy"]}


@trace
def add_numbers(a, b):
    return a + b


KNOWN = {function.__name__: function for function in (get_current_weather, add_numbers)}


def call(name, arguments):
    return KNOWN[name](**arguments)
