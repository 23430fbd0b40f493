"""Small helpers that flows and packages of tools import."""

import json
import re


class AttrDict(dict):
    """A dictionary whose members are attributes as well."""

    def __getattr__(self, item):
        if item in self:
            return self[item]
        return super().__getattribute__(item)


def camel_to_snake(text):
    return re.sub("([a-z0-9])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z]+)", r"\1_\2", text)).lower()


def load_json(file_path):
    with open(file_path, encoding="utf-8") as file:
        return json.load(file)


def is_json_serializable(value):
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
