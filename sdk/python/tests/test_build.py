"""What a component is built of."""

import sys
import tempfile
from pathlib import Path

from .case import Case

sys.path.append(str(Path(__file__).resolve().parent.parent))
import build as program


class Includes(Case):
    def setUp(self):
        super().setUp()
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder, self.whole = Path(place.name, "flow"), Path(place.name, "whole")

    def write(self, path, text):
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_what_a_flow_includes_lies_among_its_own_files_and_hides_them(self):
        self.write("node.py", "own")
        self.write("phrases/own.py", "own")
        self.write(".weir/lock.json", "{}")
        self.write(".weir/includes/node.py", "included")
        self.write(".weir/includes/phrases/choose.py", "included")
        folder = program.with_includes(self.folder, self.whole)
        found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
        self.assertEqual(found, {"node.py": "included", "phrases/own.py": "own", "phrases/choose.py": "included"})

    def test_what_was_included_before_is_gone(self):
        self.write(".weir/includes/old.py", "old")
        program.with_includes(self.folder, self.whole)
        (self.folder / ".weir/includes/old.py").rename(self.folder / ".weir/includes/new.py")
        folder = program.with_includes(self.folder, self.whole)
        self.assertEqual([path.name for path in folder.iterdir()], ["new.py"])

    def test_a_flow_that_includes_nothing_is_built_where_it_is(self):
        self.write("node.py", "own")
        self.assertEqual(program.with_includes(self.folder, self.whole), self.folder)
