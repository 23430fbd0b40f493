"""Templates, and what stands for inputs where none are given."""

import functools
import json
import os
from pathlib import Path

from promptflow.core._errors import InvalidSampleError


def render_jinja_template_content(template_content, *, trim_blocks=True, keep_trailing_newline=True, **kwargs):
    """Renders a template, in a sandbox unless `PF_USE_SANDBOX_FOR_JINJA` is `false`."""
    plain = os.environ.get("PF_USE_SANDBOX_FOR_JINJA", "true").lower() == "false"
    return compiled(str(template_content), trim_blocks, keep_trailing_newline, plain).render(**kwargs)


@functools.lru_cache(maxsize=256)
def compiled(content, trim_blocks=True, keep_trailing_newline=True, plain=False):
    """The template, compiled once: what was compiled while the component was built, a run finds done."""
    from jinja2 import Environment
    from jinja2.sandbox import SandboxedEnvironment

    environment = (Environment if plain else SandboxedEnvironment)(
        trim_blocks=trim_blocks, keep_trailing_newline=keep_trailing_newline
    )
    return environment.from_string(content)


def load_inputs_from_sample(sample):
    if not sample:
        return {}
    if isinstance(sample, dict):
        return sample
    if isinstance(sample, (str, Path)) and str(sample).endswith(".json"):
        path = str(sample).removeprefix("file:")
        if not Path(path).exists():
            raise InvalidSampleError(f"Cannot find sample file {path}.")
        with open(path) as file:
            return json.load(file)
    raise InvalidSampleError("Only dict and json file are supported as sample in prompty.")
