import yaml
from dateutil import parser

from promptflow.core import tool


@tool
def config():
    with open("config.yaml") as file:
        read = yaml.safe_load(file)
    read["since"] = parser.parse(read["since"]).date().isoformat()
    read["dumped"] = yaml.safe_dump({"b": 1, "a": [1, 2]})
    return read
