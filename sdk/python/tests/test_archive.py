"""Modules and files that a component carries with it."""

import importlib
import importlib.metadata
import importlib.resources
import io
import os
import sys
import tempfile
from pathlib import Path

from weir_python import archive, files
from weir_python.archive import ARCHIVE, FLOW, SITE
from weir_python.memory import Store

from .case import Case


class Modules(Case):
    def setUp(self):
        super().setUp()
        hooks, metas, path = list(sys.path_hooks), list(sys.meta_path), list(sys.path)

        def back():
            sys.path_hooks[:], sys.meta_path[:], sys.path[:] = hooks, metas, path
            sys.path_importer_cache.clear()
            for name in [name for name in sys.modules if name.startswith("carried")]:
                del sys.modules[name]

        self.addCleanup(back)
        sys.path.insert(0, SITE)
        archive.install()

    def test_modules_packages_and_folders_are_imported(self):
        ARCHIVE.add(f"{SITE}/carried/__init__.py", b"from . import inner\nvalue = inner.value")
        ARCHIVE.add(f"{SITE}/carried/inner.py", b"value = 7")
        ARCHIVE.add(f"{SITE}/carried_space/part/module.py", b"import carried\nvalue = carried.value")
        sys.path_importer_cache.clear()
        module = importlib.import_module("carried_space.part.module")
        self.assertEqual((module.value, module.__file__), (7, "/site/carried_space/part/module.py"))
        self.assertIsNone(importlib.util.find_spec("carried.nothing"))

    def test_data_and_metadata_are_found(self):
        ARCHIVE.add(f"{SITE}/carried_data/__init__.py", b"")
        ARCHIVE.add(f"{SITE}/carried_data/table.txt", b"rows")
        ARCHIVE.add(f"{SITE}/carried_data-1.2.dist-info/METADATA", b"Name: carried-data\nVersion: 1.2\n")
        sys.path_importer_cache.clear()
        import pkgutil

        self.assertEqual(pkgutil.get_data("carried_data", "table.txt"), b"rows")
        self.assertEqual(importlib.metadata.version("carried-data"), "1.2")


class Files(Case):
    """Without `files.install`, which changes the process: the functions are called as it would."""

    def setUp(self):
        super().setUp()
        before = (files.Roots.flow, files.Roots.granted, os.getcwd)
        self.addCleanup(
            lambda: (
                setattr(files.Roots, "flow", before[0]),
                setattr(files.Roots, "granted", before[1]),
                setattr(os, "getcwd", before[2]),
            )
        )

    def test_a_package_reads_its_files(self):
        ARCHIVE.add(f"{SITE}/p/a.txt", "ä".encode())
        self.assertEqual(files.open_file(f"{SITE}/p/../p/a.txt").read(), "ä")
        self.assertEqual(files.open_file(f"{SITE}/p/a.txt", "rb").read(), "ä".encode())
        with self.assertRaises(FileNotFoundError):
            files.open_file(f"{SITE}/p/b.txt")
        with self.assertRaises(OSError):
            files.open_file(f"{SITE}/p/a.txt", "w")

    def test_the_flow_folder_is_found_where_it_is_mounted_while_it_is_built(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "a.txt").write_text("built")
            files.enter(folder, granted=True)
            self.assertEqual(
                [files.open_file(path).read() for path in (f"{FLOW}/a.txt", "a.txt", Path("./a.txt"))], ["built"] * 3
            )
            self.assertEqual(os.getcwd(), FLOW)

    def test_files_of_the_flow_are_carried_and_those_of_granted_folders_are_read_there(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "data").mkdir()
            (Path(folder) / "data" / "a.txt").write_text("granted")
            ARCHIVE.add(f"{FLOW}/data/a.txt", b"carried")
            ARCHIVE.add(f"{FLOW}/b.txt", b"carried")
            files.enter(folder, granted=False)
            self.assertEqual(
                [files.open_file(path).read() for path in ("data/a.txt", "b.txt", f"{FLOW}/b.txt")],
                ["granted", "carried", "carried"],
            )
            with self.assertRaisesRegex(OSError, "write below /tmp"):
                files.open_file("new.txt", "w")
            files.open_file("data/new.txt", "w").close()
            self.assertEqual(sorted(os.listdir(Path(folder) / "data")), ["a.txt", "new.txt"])

    def test_what_holds_keys_is_not_carried(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {
                "a.py": "x = 1", "data/b.json": "{}", ".env": "KEY=1", "prod.env": "KEY=1", "c.yaml": "type: open_ai\napi_key: k",
                "flow.dag.yaml": "nodes: []", ".git/config": "", "big.bin": "x" * (archive.MAX_FILE + 1),
            }.items():  # fmt: skip
                path = Path(folder) / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            self.assertEqual(ARCHIVE.add_flow(folder), ["big.bin"])
        self.assertEqual(sorted(ARCHIVE), [f"{FLOW}/{name}" for name in ("a.py", "data/b.json", "flow.dag.yaml")])
        self.assertEqual(ARCHIVE.list(FLOW), ["a.py", "data", "flow.dag.yaml"])


class Memory(Case):
    def setUp(self):
        super().setUp()
        self.store = Store()

    def test_files_are_written_and_read(self):
        with self.store.open("/tmp/a", "wb") as file:
            file.write(b"one")
            file.flush()
            self.assertEqual(self.store.read("/tmp/a"), b"one")
        with self.store.open("/tmp/a", "ab") as file:
            file.write(b" two")
        with self.store.open("/tmp/a", "r+b") as file:
            self.assertEqual(file.read(), b"one two")
            file.seek(0)
            file.write(b"ONE")
        with self.store.open("/tmp/a", "rb") as file:
            self.assertEqual(file.read(), b"ONE two")
            with self.assertRaises(io.UnsupportedOperation):
                file.write(b"x")
        for mode, path, expected in (
            ("xb", "/tmp/a", FileExistsError),
            ("rb", "/tmp/b", FileNotFoundError),
            ("wb", "/tmp/no/b", FileNotFoundError),
            ("wb", "/tmp", IsADirectoryError),
        ):
            with self.assertRaises(expected):
                self.store.open(path, mode)

    def test_folders_are_made_moved_and_removed(self):
        self.store.mkdir("/tmp/d")
        self.store.mkdir("/tmp/d/e")
        self.store.write("/tmp/d/e/f", b"1")
        self.store.rename("/tmp/d", "/tmp/g")
        self.assertEqual((self.store.list("/tmp"), self.store.list("/tmp/g/e")), (["g"], ["f"]))
        with self.assertRaises(OSError):
            self.store.rmdir("/tmp/g")
        self.store.remove("/tmp/g/e/f")
        self.store.rmdir("/tmp/g/e")
        self.store.rmdir("/tmp/g")
        self.assertEqual(self.store.list("/tmp"), [])
