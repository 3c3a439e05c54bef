"""Copies a submission's code, `libs/` and its neighbours, to a folder where a worker runs it."""

import ast
import errno
import functools
import importlib.util
import py_compile
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from autograder.reading.archives import Entry, Folders, Name
from autograder.reading.remarks import Refused, Remarks, Unreadable, first_of, listed, shown
from autograder.reading.remarks import shown_size as size_of
from autograder.sandbox.wire import CHAIN
from autograder.text import visible

MAX_CODE_FILE, MAX_CODE_BYTES = 2_000_000, 20_000_000
MAX_CODE_FILES, MAX_CODE_FOLDERS = 2000, 500
MAX_DAMAGED = 20  # damaged files tried: each may cost as much time as a good one

GRADED = ("ddpm.py", "unet.py")
HELPERS = ("__init__", "utils", "schedules", "tiny_autoencoder", "blocks", "latent_space")
FORMER_KIT = Path(__file__).with_name("former_kit")  # helpers that the kit once had
ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")
CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors", ".onnx")
DATA = (".npy", ".npz", ".h5", ".hdf5", ".parquet", ".lmdb", ".tfrecord")
DATA_FOLDERS = {"data", "logs", "pretrained", "runs", "wandb", "checkpoints"}
CONFIGS = "configs"
REST = ("writeup", "results", "team.csv")  # next to code/
SOURCES = (".py", ".yaml", ".yml")
TEXTS = (".json", ".txt", ".csv", ".md", ".toml", ".cfg", ".ini", ".sh")
TESTED = ("metrics/fid", "metrics/memorization", "models/dit")  # modules in folders of libs
IMPORT = re.compile(r"^[ \t]*(?:from|import)\b(?:[^\n(]*\([^)]{0,500}|[^\n]*)", re.MULTILINE)
BAD_NAME = (  # errors that a file's name may cause; the machine causes all others
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL),
)


@dataclass(frozen=True)
class Place:
    """Where the code is in a submission."""

    folder: Name  # holds libs/, or, if `flat`, the modules themselves
    flat: bool
    root: Name  # holds code/, writeup/ and so on

    def below_root(self, entry: Entry) -> Name:
        """An entry's name relative to the root; the whole name if it is outside."""
        depth = len(self.root)
        return entry.parts[depth:] if entry.parts[:depth] == self.root else entry.parts


def find_code(entries: list[Entry], remarks: Remarks) -> Place:
    """The shallowest folder with libs/ddpm.py or libs/unet.py, else with just these modules.

    Raises:
        Refused: there is none.
    """
    for flat in (False, True):
        for fold in (str, str.lower):  # names in another case count if there is no exact one
            places: dict[Name, int] = {}
            for entry in entries:
                above, name = entry.parts[-2:-1], fold(entry.parts[-1])
                if name in GRADED and (flat or [*map(fold, above)] == ["libs"]):
                    folder = entry.parts[: -1 if flat else -2]
                    places[folder] = places.get(folder, 0) + 1
            if places:
                folder = choose_folder(places, flat, remarks)
                return Place(folder, flat, find_root(entries, folder))
    raise Refused(f"no libs/ddpm.py or libs/unet.py anywhere: {instead(entries, remarks)}")


def find_root(entries: list[Entry], folder: Name) -> Name:
    """The nearest folder at or above the code that holds the rest of the submission."""
    while folder and folder[-1].lower() == "code":
        folder = folder[:-1]
    depths = {depth for depth, part in enumerate(folder) if part.lower() in REST}
    for entry in entries:
        both = zip(folder, entry.parts, strict=False)
        depth = next((i for i, (a, b) in enumerate(both) if a != b), len(folder))
        if entry.parts[depth:] and entry.parts[depth].lower() in REST:
            depths.add(depth)
    return folder[: max(depths)] if depths else folder


def choose_folder(places: dict[Name, int], flat: bool, remarks: Remarks) -> Name:
    """The shallowest of several folders; then the one with both modules, or named "code"."""
    first, *others = sorted(
        places, key=lambda name: (len(name), -places[name], name[-1:] not in ((), ("code",)), name)
    )
    here = shown("/".join(first)) or "the top folder"
    if others:
        names = ["/".join(name) or "the top folder" for name in others]
        remarks.look(f"Code is in several folders; {here} was graded, not", *names)
    if flat:
        remarks.note("There is no libs/ddpm.py; the modules were taken from", here)
    elif first != ("code",):
        remarks.note("The code is not in code/ but in", here)
    return first


def instead(entries: list[Entry], remarks: Remarks) -> str:
    """What a submission without code holds instead, in words."""
    archives = [entry.path for entry in entries if entry.suffix in ARCHIVES]
    if archives:
        return f"it holds {first_of(archives)}, and archives inside are not opened"
    if remarks.needs_look:
        return "; ".join(listed(remarks.needs_look)[:2])
    return f"it holds {first_of([entry.path for entry in entries]) or 'no files'}"


def without_data(entries: list[Entry], place: Place, remarks: Remarks) -> list[Entry]:
    """The entries without checkpoints, data, archives and the trained model."""
    packages = {entry.parts[:-1] for entry in entries if entry.suffix in SOURCES}
    of_data = Folders(lambda f: f[-1].lower() in DATA_FOLDERS and f not in packages)
    of_data.found[place.root] = False  # whatever its name
    kept = []
    for entry in entries:
        name = place.below_root(entry)
        in_data = of_data.add(entry.parts[:-1])
        described = f"{entry.path} ({size_of(entry.size)})"
        if len(name) > 1 and name[0].lower() == "model" and entry.suffix not in SOURCES:
            remarks.note("A trained model was handed in; it is not graded", described)
        elif entry.suffix in CHECKPOINTS:
            remarks.find("Checkpoints were left in", described)
        elif in_data or entry.suffix in DATA or ".tfevents." in name[-1]:
            remarks.find("Data, logs or downloads were left in", described)
        elif entry.suffix in ARCHIVES:
            remarks.note("Archives inside were not opened", described)
        else:
            kept.append(entry)
    return kept


def copy_code(entries: list[Entry], place: Place, work: Path, remarks: Remarks) -> Path:
    """Copy the code folder's files to WORK/code, and return that folder.

    Raises:
        Refused: a Python file that the graded modules need is damaged or encrypted.
        OSError: the disk is full, or another problem that is not the submission's fault.
    """
    target = work / "code"
    work.mkdir(parents=True, exist_ok=True)
    work.chmod(0o755)
    for folder in (target, target / "libs"):
        folder.mkdir()
        folder.chmod(0o755)
    total = number = 0
    folders: set[Name] = set()
    damaged: dict[Name, str] = {}
    for name, entry in planned(entries, place, remarks).items():
        is_python = entry.suffix == ".py"
        remark = remarks.look if is_python else remarks.note
        too_much = total + entry.size > MAX_CODE_BYTES or number >= MAX_CODE_FILES
        if len(folders) + len(name) > MAX_CODE_FOLDERS:
            too_much |= name[:-1] not in folders
        if entry.size > MAX_CODE_FILE or too_much:
            remark("Files above the limits were left out", entry.path)
            continue
        if len(damaged) >= MAX_DAMAGED:
            remark("Files were left out after many damaged ones", entry.path)
            continue
        try:
            content = entry.read(MAX_CODE_FILE)
        except Unreadable as error:
            damaged[name] = f"{shown(entry.path)} {error}"
            remark("Files that cannot be read were left out", f"{shown(entry.path)} {error}")
            continue
        if not write_file(target, name, content):
            remark("Files were left out whose names cannot be used here", entry.path)
            continue
        folders |= {name[:depth] for depth in range(1, len(name))}
        total, number = total + len(content), number + 1
        if is_python and not is_importable(content):
            remarks.note("Not UTF-8 text, which Python may refuse to import", entry.path)
    words = imported_words(target / "libs") if damaged else set()
    for name, why in damaged.items():
        stem, dot, suffix = name[-1].rpartition(".")
        if name[0] == "libs" and f"{dot}{suffix}" == ".py" and stem in words:
            raise Refused(f"{why}: ask the team to upload again")
    return target


def imported_words(libs: Path) -> set[str]:
    """The words in the import lines of the graded modules, and of the modules that these import.

    A submission's text is searched, not parsed: hostile text can crash the parser's process.
    """
    words = {"__init__", *(name.removesuffix(".py") for name in GRADED)}
    waiting = [libs / f"{word}.py" for word in words]
    while waiting:
        path = waiting.pop()
        if path.is_file():
            text = path.read_bytes().decode("utf-8", "replace")
            new = {word for line in IMPORT.findall(text) for word in re.findall(r"\w+", line)}
            waiting += [libs / f"{word}.py" for word in sorted(new - words) if len(word) < 100]
            words |= new
    return words


def planned(entries: list[Entry], place: Place, remarks: Remarks) -> dict[Name, Entry]:
    """The files to copy, by their names below the code folder, the most important first."""
    depth = len(place.folder)
    inside = [entry for entry in entries if entry.parts[:depth] == place.folder]
    if place.folder == place.root:  # without a code/, the rest of the submission is next to it
        others = ("writeup", "results", "model")
        inside = [entry for entry in inside if entry.parts[depth].lower() not in others]
    prefix = ("libs",) if place.flat else ()
    names = {(*prefix, *entry.parts[depth:]): entry for entry in inside}
    if not any(name[0] == CONFIGS for name in names):  # modules may read those next to the code
        beside = [(place.below_root(entry), entry) for entry in entries]
        texts = SOURCES[1:] + TEXTS
        names |= {n: e for n, e in beside if n[0] == CONFIGS and len(n) > 1 and e.suffix in texts}
    plan: dict[Name, Entry] = {}
    for name, entry in sorted(names.items(), key=importance):
        expected = expected_name(name)
        if expected != name and expected not in names and expected not in plan:
            remarks.note("Names were brought to lower case", entry.path)
            name = expected
        plan[name] = entry
    return plan


def expected_name(name: Name) -> Name:
    """The name with `libs`, and the contract's modules in it, in lower case."""
    if len(name) < 2 or name[0].lower() != "libs":
        return name
    known = {*GRADED, *(f"{helper}.py" for helper in HELPERS)}
    if len(name) == 2 and name[1].lower() in known:
        return ("libs", name[1].lower())
    return ("libs", *name[1:])


def importance(item: tuple[Name, Entry]) -> tuple:
    """A sort key: the modules in libs, other modules, texts, the rest; flat before deep."""
    name, entry = item
    is_python = entry.suffix == ".py"
    in_libs = is_python and len(name) == 2 and name[0].lower() == "libs"
    is_text = entry.suffix in SOURCES + TEXTS
    return (not in_libs, not is_python, not is_text, len(name), name)


def write_file(root: Path, name: Name, content: bytes) -> bool:
    """Write a new file below a folder; False if the name is not possible here.

    Raises:
        OSError: for any other reason.
    """
    if any(visible(part) != part or {"\n", "\t"} & set(part) for part in name):
        return False
    folder = root
    try:
        for part in name[:-1]:
            folder = folder / part
            if not folder.is_dir():
                folder.mkdir()
                folder.chmod(0o755)
        path = folder / name[-1]
        with open(path, "xb") as file:
            file.write(content)
        path.chmod(0o644)
    except UnicodeEncodeError:  # a locale of plain ASCII
        return False
    except OSError as error:
        if error.errno not in BAD_NAME:
            raise
        return False
    return True


def is_importable(content: bytes) -> bool:
    """Whether Python can read a module's text: UTF-8 or a declared encoding, no NULs."""
    first_lines = b"\n".join(content.split(b"\n", 2)[:2])
    if re.search(rb"^[ \t\f]*#.*?coding[:=]", first_lines, re.MULTILINE):
        return b"\0" not in content  # not decoded here: some encodings take forever
    try:
        return "\0" not in content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False


def supply_helpers(libs: Path, kit: Path, remarks: Remarks) -> None:
    """Copy helpers that a submission lacks from the kit's libs; raises OSError.

    If a copied helper needs names that the team's own version of another helper does not define,
    such as one from an earlier edition, it gets the kit's version under another name. If the team's
    code imports helpers that the kit no longer has, they come from `former_kit`.
    """
    own = {path.name.removesuffix(".py") for path in libs.iterdir()}
    former = modules_of(FORMER_KIT)
    if not any(imports(path, former - modules_of(kit)) for path in libs.glob("*.py")):
        former = set()
    wanted = [(name, name) for name in {*HELPERS, *former}]
    copied = set()
    while wanted:
        source, target = wanted.pop()
        if target in own or target in copied or f"{source}.py" in GRADED:
            continue
        folder = FORMER_KIT if target in former else kit
        text = (folder / f"{source}.py").read_text(encoding="utf-8")
        for module, names in imports_of(text):
            if module.startswith("kit_"):  # a former helper builds on the kit's own
                wanted.append((module.removeprefix("kit_"), module))
                continue
            if module in own and not defines(libs / f"{module}.py", names):
                text = text.replace(f"from .{module} import", f"from .kit_{module} import")
                wanted.append((module, f"kit_{module}"))
            else:
                wanted.append((module, module))
        write_file(libs, (f"{target}.py",), text.encode())
        copied.add(target)
    if copied:
        listed = ", ".join(f"{name}.py" for name in sorted(copied))
        remarks.note(f"Helpers that libs lacks were taken from the kit: {listed}")


def supply_bytecode(libs: Path, kit: Path) -> None:
    """Add the bytecode of modules that are identical to the kit's.

    Otherwise each worker would compile them again. Modules that no tested function needs are left
    out. What a team wrote is not compiled here: hostile text can crash the compiler's process.
    """
    for original in needed_modules(kit):
        name = original.relative_to(kit)
        path = libs / name
        if path.is_file() and path.read_bytes() == original.read_bytes():
            compiled = importlib.util.cache_from_source(name)
            write_file(libs, Path(compiled).parts, bytecode_of(original))


@functools.cache
def needed_modules(kit: Path) -> list[Path]:
    """The kit's modules with tested functions, and all that these import."""
    by_name: dict[str, list[Path]] = {}
    for path in kit.rglob("*.py"):
        by_name.setdefault(path.parent.name if path.stem == "__init__" else path.stem, []).append(
            path
        )
    found: set[Path] = set()
    waiting = [*kit.glob("*.py"), *(kit / f"{name}.py" for name in TESTED)]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        lines = IMPORT.findall(path.read_text(encoding="utf-8"))
        words = {word for line in lines for word in re.findall(r"\w+", line)}
        waiting += [other for word in words for other in by_name.get(word, ())]
    return sorted(found)


@functools.cache
def bytecode_of(path: Path) -> bytes:
    """The bytecode of a module of the kit, as Python caches it, valid for any copy of the file."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "compiled"
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(
            str(path), str(compiled), dfile=path.name, doraise=True, invalidation_mode=unchecked
        )
        return compiled.read_bytes()


def imports_of(text: str) -> list[tuple[str, list[str]]]:
    """The neighbours that a module of the kit imports from, with the names it imports."""
    return [
        (node.module, [alias.name for alias in node.names])
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
    ]


def modules_of(libs: Path) -> set[str]:
    """The names of the modules in a folder."""
    return {path.stem for path in libs.glob("*.py")}


def imports(path: Path, modules: set[str]) -> bool:
    """Whether a submission's module imports one of these neighbours, judged by its text."""
    if not path.is_file():
        return False
    text = path.read_bytes()[:MAX_CODE_FILE].decode("utf-8", "replace")
    found = re.findall(r"^from[ \t]+(?:\.|libs\.)(\w+)[ \t]+import\b", text, re.MULTILINE)
    return not modules.isdisjoint(found)


def defines(path: Path, names: list[str]) -> bool:
    """Whether a module defines or imports each of the names, judged by its text.

    A submission's text is searched, not parsed: hostile text can crash the parser's process.
    """
    if not path.is_file():
        return True  # a package: trust its authors
    text = path.read_bytes().decode("utf-8", "replace")
    definition = r"^(?:class|def)[ \t]+{0}\b|^{0}[ \t]*[:=]|^(?:from|import)\b.*\b{0}\b"
    return all(re.search(definition.format(re.escape(name)), text, re.MULTILINE) for name in names)


def constructor_names(path: Path, name: str, argument: str) -> bool:
    """Whether the constructor of a module's class has an argument, judged by its text."""
    if not path.is_file():
        return False
    text = path.read_bytes()[:MAX_CODE_FILE].decode("utf-8", "replace")
    _, *classes = re.split(rf"^[ \t]*class {name}\b", text, flags=re.MULTILINE)
    body = re.split(r"^class\b", classes[-1] if classes else "", maxsplit=1, flags=re.MULTILINE)[0]
    _, _, signature = body.partition("def __init__(")
    for line in signature.split("\n"):
        code = line.partition("#")[0].rstrip()
        before, ends, _ = code.rpartition(")") if code.endswith(":") else (code, "", "")
        if re.search(rf"\b{re.escape(argument)}\b", before):
            return True
        if ends:
            break
    return False


def chain_name(ddpm: Path) -> str:
    """What a submission's DDPM calls sampling, p_sample_loop or generate, as far as its text shows.

    It is p_sample_loop where both are there, or none.
    """
    if not ddpm.is_file():
        return CHAIN[0]
    text = ddpm.read_bytes()[:MAX_CODE_FILE].decode("utf-8", "replace")
    defined = set(re.findall(r"^[ \t]+def[ \t]+(\w+)", text, re.MULTILINE))
    return next((name for name in CHAIN if name in defined), CHAIN[0])
