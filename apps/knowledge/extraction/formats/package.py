"""Zip files full of XML, which is what Office and EPUB files are: read with limits, because strangers make them."""

import lzma
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree as ET
from xml.parsers import expat

from apps.knowledge.extraction.failures import ExtractionFailed
from apps.knowledge.extraction.source import Source, opened

# A tree takes about ten times the memory of its text.
_MOST_BYTES_AS_A_TREE = 48 * 1024 * 1024
_LONG_PART_BYTES = 4 * 1024 * 1024
_MOST_BYTES_IN_ALL = 1024 * 1024 * 1024
_PROLOG_BYTES = 64 * 1024
_ENCRYPTED = 0x1
_RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
# Office can also save in the standard's strict variant, which is the same under other names.
_STRICT = re.compile(r"\{http://purl\.oclc\.org/ooxml/(\w+)/")
_USUAL = r"{http://schemas.openxmlformats.org/\1/2006/"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    ET.ParseError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    RuntimeError,  # also what Python says of elements nested deeper than its stack
    NotImplementedError,
)


class Relation(NamedTuple):
    """What a part points to: `kind` is the last word of its type ("slide", "notesSlide"), `target` a part's name."""

    kind: str
    target: str


@contextmanager
def open_package(source: Source) -> Iterator["Package"]:
    """The parts of a zip file. Whatever is wrong with it inside this block is raised as `ExtractionFailed`."""
    try:
        with opened(source) as file, zipfile.ZipFile(file) as archive:
            yield Package(archive)
    except _DAMAGE as error:
        raise ExtractionFailed("corrupt") from error


class Package:
    """Parts by name, in any case of letters. Raises `KeyError` for a part that is not there."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._parts = {info.filename.lstrip("/").lower(): info for info in archive.infolist()}
        self._bytes_left = _MOST_BYTES_IN_ALL

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._parts

    def has_below(self, *folders: str) -> bool:
        """Whether any part lies in one of these folders ("word/media/")."""
        return any(name.startswith(folders) for name in self._parts)

    def read(self, name: str) -> bytes:
        """A whole part."""
        with self._open(name, _MOST_BYTES_AS_A_TREE) as part:
            return part.read()

    def tree(self, name: str) -> ET.Element:
        """A whole part as XML."""
        with self._open(name, _MOST_BYTES_AS_A_TREE) as part:
            refuse_definitions(part)
            root = ET.parse(part).getroot()
        if _STRICT.match(root.tag):
            for element in root.iter():
                _rename(element)
        return root

    def children(self, name: str, parent: str) -> Iterator[ET.Element]:
        """The children of the first element called `parent`, each whole.

        Of a long part they come one at a time: it never lies in memory as a whole, and takes three times as long.
        """
        if self._parts[name.lower()].file_size <= _LONG_PART_BYTES:
            yield from next(self.tree(name).iter(parent), ())
            return
        with self._open(name, self._bytes_left) as part:
            refuse_definitions(part)
            yield from _children_one_by_one(part, parent)

    def relations(self, name: str) -> dict[str, Relation]:
        """What a part points to inside the package, by id; `""` is the package itself."""
        folder, file = posixpath.split(name)
        listed = posixpath.join(folder, "_rels", f"{file}.rels")
        if listed not in self:
            return {}
        found = {}
        for relation in self.tree(listed).iter(_RELATIONS):
            if relation.get("TargetMode") != "External":
                kind = relation.get("Type", "").rpartition("/")[2]
                found[relation.get("Id", "")] = Relation(kind, resolve(name, relation.get("Target", "")))
        return found

    def related(self, name: str, kind: str) -> list[str]:
        """The parts of one kind that a part points to."""
        return [target for found, target in self.relations(name).values() if found == kind and target in self]

    def main_part(self) -> str:
        """The part that an Office file starts with. Raises `KeyError`."""
        for part in self.related("", "officeDocument"):
            return part
        raise KeyError("officeDocument")

    def _open(self, name: str, limit: int) -> IO[bytes]:
        info = self._parts[name.lower()]
        if info.flag_bits & _ENCRYPTED:
            raise ExtractionFailed("password_protected")
        # A part ends where its entry says so, whatever else is packed in it: its size can be believed.
        self._bytes_left -= info.file_size
        if info.file_size > limit or self._bytes_left < 0:
            raise ExtractionFailed("too_big")
        return self._archive.open(info)


def _children_one_by_one(part: IO[bytes], parent: str) -> Iterator[ET.Element]:
    above: list[ET.Element] = []
    depth = 0  # of the parent, once it is open
    strict = False
    for event, element in ET.iterparse(part, events=("start", "end")):
        if event == "start":
            strict = strict or (not above and bool(_STRICT.match(element.tag)))
            if strict:
                _rename(element)
            above.append(element)
            if not depth and element.tag == parent:
                depth = len(above)
            continue
        above.pop()
        if len(above) < depth:
            return
        if depth and len(above) == depth:
            yield element
            above[-1].clear()


def _rename(element: ET.Element) -> None:
    element.tag = _STRICT.sub(_USUAL, element.tag)
    for name in [name for name in element.attrib if _STRICT.match(name)]:
        element.set(_STRICT.sub(_USUAL, name), element.attrib.pop(name))


def resolve(part: str, target: str) -> str:
    """The name of the part that `target`, written in `part`, means."""
    path = unquote(target.partition("#")[0])
    return posixpath.normpath(posixpath.join("/", posixpath.dirname(part), path)).lstrip("/")


class _Begun(Exception):
    """The root element is here, and with it the end of where definitions can stand."""


def refuse_definitions(part: IO[bytes]) -> None:
    """Raise `ExtractionFailed` for XML that defines entities: ten lines of them can make gigabytes, or name files.

    A plain `<!DOCTYPE ncx PUBLIC ...>`, as old EPUB files have it, is fine: nothing fetches what it names. Leaves the
    position at the start.
    """

    def doctype(_name: str, _system: str | None, _public: str | None, has_definitions: int) -> None:
        if has_definitions:
            raise ExtractionFailed("corrupt")

    def root(_name: str, _attributes: object) -> None:
        raise _Begun

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = root
    head = part.read(_PROLOG_BYTES)
    part.seek(0)
    try:
        parser.Parse(head, len(head) < _PROLOG_BYTES)
    except (_Begun, expat.ExpatError):
        return  # whoever reads the part now meets the same error
    raise ExtractionFailed("corrupt")  # 64 KiB and still no element: nobody writes that
