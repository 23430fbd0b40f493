"""The guest runtime: runs the Python nodes of a prompt flow folder, unchanged, as one WebAssembly component.

In reading order:

| module | answers |
| --- | --- |
| `build` | what happens once, while componentize-py makes the snapshot |
| `archive`, `files` | where modules and files come from, then and at run time |
| `entries` | which function an entry such as `classify.py` or `module:Class` means |
| `signature` | what a function takes and gives, as JSON Schema |
| `run` | what happens at each run |
| `inputs`, `outputs`, `failure` | how values and exceptions cross to the host and back |
| `connections`, `models` | services of the host by the name of a connection |
| `host` | the only module that knows the bindings of the WIT |
| `web`, `loop`, `threads`, `standins` | what CPython lacks here: HTTP, an event loop, threads, `ssl` |

The packages `promptflow`, `openai` and `aiohttp` beside this one have the names that nodes import.
"""
