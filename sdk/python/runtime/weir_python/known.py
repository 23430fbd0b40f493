"""What is known of packages that a component cannot hold, and of modules that CPython lacks here.

Used while a component is built, to say what to do about an import that fails, and by `scan` and `requirements` on the
developer's machine. A package that is not named here and has no pure wheel is told without a replacement.
"""

from __future__ import annotations

#: Top-level modules with native code, and what serves in their place.
NATIVE = {
    "numpy": "use lists and the modules math and statistics; for vectors of embeddings a sum of products is enough",
    "pandas": "use the module csv, or lists of dictionaries",
    "scipy": "use the modules math and statistics",
    "sklearn": "compute metrics by hand, or ask a service over HTTP",
    "torch": "ask a model by a connection, or a service over HTTP",
    "tensorflow": "ask a model by a connection, or a service over HTTP",
    "transformers": "ask a model by a connection, or a service over HTTP",
    "sentence_transformers": "use embeddings of a connection: `openai` `embeddings.create`",
    "faiss": "keep a small index as JSON and compare vectors by hand, or ask a vector store over HTTP",
    "chromadb": "ask a vector store over HTTP",
    "hnswlib": "keep a small index as JSON and compare vectors by hand",
    "PIL": "pass images on as they are; a model takes them in any usual form",
    "cv2": "pass images on as they are",
    "fitz": "use pypdf, which is pure Python",
    "pymupdf": "use pypdf, which is pure Python",
    "lxml": "use xml.etree.ElementTree, or BeautifulSoup with `html.parser`",
    "pydantic_core": "ask for pydantic alone, which is then version 1 with the names of version 2",
    "cryptography": "use hashlib, hmac and secrets",
    "grpc": "use the service's HTTP interface",
    "psycopg2": "databases are not reachable; put an HTTP service in front",
    "pymongo": "databases are not reachable; put an HTTP service in front",
    "pyodbc": "databases are not reachable; put an HTTP service in front",
    "redis": "databases are not reachable; put an HTTP service in front",
    "orjson": "use json",
    "ujson": "use json",
    "rapidfuzz": "use difflib",
    "spacy": "ask a model by a connection, or a service over HTTP",
    "nltk": "its data is downloaded; use re and str.split, or ask a model",
    "matplotlib": "return the figures as data",
    "playwright": "fetch pages over HTTP with a grant, and read them with BeautifulSoup",
    "selenium": "fetch pages over HTTP with a grant, and read them with BeautifulSoup",
    "langchain": "it needs pydantic 2, which has a native core; call `openai` directly",
    "langchain_core": "it needs pydantic 2, which has a native core; call `openai` directly",
    "langchain_openai": "it needs pydantic 2, which has a native core; call `openai` directly",
    "semantic_kernel": "it needs pydantic 2, which has a native core; call `openai` directly",
    "jiter": "use json",
    "regex": "use re",
}

#: Modules of the standard library that this CPython lacks, or that cannot work in a sandbox.
NOT_HERE = {
    "bz2": "use zlib or gzip",
    "lzma": "use zlib or gzip",
    "ctypes": "there is no native code to call",
    "curses": "there is no terminal",
    "dbm": "use sqlite3 in memory, or JSON",
    "fcntl": "there are no locks on files: each run has its own",
    "grp": "there are no users",
    "pwd": "there are no users",
    "mmap": "read the file",
    "multiprocessing": "there are no processes: work is done one thing after the other",
    "pty": "there is no terminal",
    "readline": "there is no terminal",
    "resource": "limits are those of the flow file",
    "syslog": "use logging",
    "termios": "there is no terminal",
    "tkinter": "there is no screen",
    "tty": "there is no terminal",
}

#: Packages that are served by what stands beside this package, whatever version is asked for.
SHIMMED = {
    "promptflow", "promptflow_core", "promptflow_tracing", "promptflow_devkit", "promptflow_azure", "openai", "aiohttp",
    "tiktoken", "azure_identity",
}  # fmt: skip

#: Modules of ours in a name space that others share.
SHIMMED_MODULES = ("azure.identity",)

#: Packages whose wheels hold native code that they can do without: it is left out.
PURE_FALLBACK = {
    "markupsafe", "pyyaml", "charset_normalizer", "multidict", "yarl", "frozenlist", "propcache", "wrapt", "msgpack",
    "sqlalchemy", "greenlet", "websockets", "ruamel_yaml_clib", "simplejson", "lazy_object_proxy", "protobuf",
    "pydantic",
}  # fmt: skip

#: Packages that are taken in another version than was asked for, since that one is pure, and what that means.
INSTEAD = {"pydantic": ("pydantic<2", "pydantic 2 has a native core; version 1 is taken, with the names of version 2")}

#: Packages of which only these others are needed here, whatever they ask for.
NEEDS_ONLY = {"promptflow_tools": ["requests", "jinja2"]}

#: Packages that an installation of prompt flow brings, so that flows use them without saying so.
COMES_WITH_PROMPTFLOW = {
    "requests", "httpx", "jinja2", "ruamel_yaml", "pyyaml", "python_dotenv", "python_dateutil", "typing_extensions",
    "pydantic", "pandas", "numpy", "pillow", "tqdm", "tabulate", "filetype", "docstring_parser",
    "promptflow_tools", "beautifulsoup4",
}  # fmt: skip

#: Modules by whose name the package cannot be guessed.
PACKAGE_OF = {
    "bs4": "beautifulsoup4", "yaml": "pyyaml", "dotenv": "python-dotenv", "PIL": "pillow", "cv2": "opencv-python",
    "sklearn": "scikit-learn", "dateutil": "python-dateutil", "jwt": "pyjwt", "fitz": "pymupdf", "faiss": "faiss-cpu",
    "docx": "python-docx", "pptx": "python-pptx", "serpapi": "google-search-results", "ruamel": "ruamel.yaml",
    "google": "google-api-python-client", "attr": "attrs", "promptflow.tools": "promptflow-tools",
}  # fmt: skip


def normal(name: str) -> str:
    """A package's name in the one form in which names here are written."""
    return name.lower().replace("-", "_").replace(".", "_")


def replacement(package: str) -> str | None:
    """What serves in the place of a package with native code, by its name or that of its module."""
    for module, told in NATIVE.items():
        if normal(package) in (normal(module), normal(PACKAGE_OF.get(module, module))):
            return told
    return None


def hint(module: str) -> str | None:
    """What to do about a module that cannot be imported."""
    top = module.partition(".")[0]
    if top in NATIVE:
        return f"{top} has native code, which a component cannot hold: {NATIVE[top]}"
    if top.lstrip("_") in NOT_HERE:
        return f"{top.lstrip('_')} is not part of Python in a component: {NOT_HERE[top.lstrip('_')]}"
    package = PACKAGE_OF.get(module) or PACKAGE_OF.get(top, top.replace("_", "-"))
    return f"add {package} to requirements.txt of the flow, or put the module into the flow folder"
