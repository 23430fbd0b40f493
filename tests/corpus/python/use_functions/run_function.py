from promptflow.core import tool
import json


def get_current_weather(location, unit="fahrenheit"):
    """Get the current weather in a given location"""
    weather_info = {"location": location, "temperature": "72", "unit": unit, "forecast": ["sunny", "windy"]}
    return weather_info


def get_n_day_forecast(location, num_days):
    return {"location": location, "num_days": num_days, "forecast": ["winter"] * int(num_days)}


@tool
def run_function(response_message: dict) -> str:
    if "tool_calls" in response_message and response_message["tool_calls"]:
        call = response_message["tool_calls"][0]["function"]
        function_name = call["name"]
        function_args = json.loads(call["arguments"])
        print(function_args)
        result = globals()[function_name](**function_args)
    else:
        print("No function call")
        if isinstance(response_message, dict):
            result = response_message["content"]
        else:
            result = response_message
    return result
