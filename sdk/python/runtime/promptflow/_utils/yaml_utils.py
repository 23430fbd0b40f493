"""YAML as prompt flow reads and writes it: version 1.2, by ruamel.yaml."""

import io
from os import PathLike


def _yaml():
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True)


def load_yaml_string(content):
    return _yaml().load(content)


def load_yaml(source):
    """A file's path or an open file; nothing for none."""
    if source is None:
        return {}
    if isinstance(source, (str, PathLike)):
        with open(source, encoding="utf-8") as file:
            return load_yaml_string(file.read())
    return load_yaml_string(source.read())


def dump_yaml(data, stream=None, **kwargs):
    yaml = _yaml()
    yaml.default_flow_style = False
    if stream is not None:
        return yaml.dump(data, stream)
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()
