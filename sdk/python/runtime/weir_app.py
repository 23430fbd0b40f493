"""The application that componentize-py wraps: a component that holds all Python sources of one flow folder.

Importing this module is the build. It makes the flow's modules importable, imports every entry, describes each, and
leaves a snapshot in which all of that is done. What a run does is in weir_python/run.py.
"""

from weir_python import build, run

build.prepare()


class Handler:
    """`weir:flow/handler`. componentize-py looks for this class by the name of the interface."""

    def run(self, inputs: str):
        return run.run(inputs)

    def describe(self) -> str:
        return run.describe()
