"""download_dataset.sh against a local server: what it fetches, checks, resumes and refuses."""

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from helpers.files import ROOT, find_asset

SHELL = shutil.which("dash") or shutil.which("sh")
BASIC_TOOLS = "cat cut dd dirname find grep head mkdir mv rm rmdir sed sort wc".split()
TOOLS = ["curl", "sha1sum", "shasum", "openssl", "md5sum", "unzip"]
PAGE = b"<!DOCTYPE html><html><body>Too many downloads today</body></html>"
ENCODER = bytes(range(256)) * 400
DECODER = b"decoder" * 999
CLASSES = ("cat", "dog", "wild")
both_downloaders = pytest.mark.parametrize("downloader", ["curl", "wget"])
both_unpackers = pytest.mark.parametrize("unpacker", ["unzip", "python3"])


class Server(ThreadingHTTPServer):
    """Serves `files`; can cut an answer off, hold it in the middle, or ignore Range."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.ranges = True
        self.cuts: list[int] = []  # the number of bytes that the next answers break off after
        self.pause = 0.0  # seconds between two pieces
        self.hold = threading.Event()  # set: stop in the middle, until cleared
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_):
        """A client that hangs up is what these tests are about: no traceback."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        name = self.path.partition("?")[0].strip("/")
        asked = self.headers.get("Range")
        self.server.requests.append((name, asked))
        if name not in self.server.files:
            self.send_error(404)
            return
        data = self.server.files[name]
        start = int(asked[len("bytes=") : -1]) if asked and self.server.ranges else 0
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.send_pieces(data[start:])

    def send_pieces(self, data: bytes) -> None:
        data = data[: self.server.cuts.pop(0)] if self.server.cuts else data
        piece = max(1, len(data) // 4)
        for start in range(0, len(data), piece):
            self.wfile.write(data[start : start + piece])
            self.wfile.flush()
            time.sleep(self.server.pause)
            while start and self.server.hold.is_set():
                time.sleep(0.01)


class Kit:
    """A copy of the script in a folder of its own, with a PATH of chosen programs."""

    def __init__(self, folder: Path, server: Server):
        self.root = (
            folder / "my kit [1]"
        )  # a space and a wildcard, which a careless script trips on
        self.root.mkdir()
        shutil.copy(ROOT / "download_dataset.sh", self.root)
        self.server = server
        self.bin = folder / "bin"
        self.bin.mkdir()
        for tool in BASIC_TOOLS:
            self.link(tool)
        for tool in TOOLS:
            if shutil.which(tool):
                self.link(tool)
        self.program("python3", f'exec "{sys.executable}" "$@"')
        self.program("sleep", f"exec {shutil.which('sleep')} 0")  # the pauses between attempts
        self.env = {
            "PATH": str(self.bin),
            "HOME": str(folder),
            "no_proxy": "*",
            "TAESD_URL": server.url,
            "MNIST_URL": f"{server.url}/mnist/",
            "AFHQ_URL": f"{server.url}/afhq.zip?dl=1",
            "AFHQ_COUNTS": "",
            "TAESD_ENCODER_ID": blob_id(ENCODER),
            "TAESD_DECODER_ID": blob_id(DECODER),
        }
        server.files = {"taesd_encoder.pth": ENCODER, "taesd_decoder.pth": DECODER}

    def link(self, tool: str) -> None:
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"{tool} is not installed here")
        (self.bin / tool).unlink(missing_ok=True)
        (self.bin / tool).symlink_to(found)

    def remove(self, *tools: str) -> None:
        for tool in tools:
            (self.bin / tool).unlink(missing_ok=True)

    def program(self, name: str, body: str) -> None:
        self.remove(name)
        (self.bin / name).write_text(f"#!{SHELL}\n{body}\n")
        (self.bin / name).chmod(0o755)

    def use(self, downloader: str) -> None:
        self.remove("curl", "wget")
        self.link(downloader)

    def use_unpacker(self, unpacker: str) -> None:
        if unpacker == "unzip":
            self.link("unzip")
        else:
            self.remove("unzip")

    def start(self, *args: str, cwd: Path | None = None) -> subprocess.Popen:
        return subprocess.Popen(
            [SHELL, str(self.root / "download_dataset.sh"), *args],
            cwd=cwd or self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, *args: str, code: int = 0, cwd: Path | None = None) -> str:
        """Run the script to its end, assert its exit code, and return all it printed."""
        process = self.start(*args, cwd=cwd)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == code, output
        return output

    def interrupt(self, process: subprocess.Popen, number: int, group: bool) -> str:
        """Send a signal as a terminal does, to the group, or as `kill PID`; return the output."""
        (os.killpg if group else os.kill)(process.pid, number)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 128 + number, output
        return output

    def files(self) -> list[str]:
        """All that lies in the kit except the script."""
        found = [p for p in self.root.rglob("*") if p.is_file() or p.is_symlink()]
        return sorted(
            str(p.relative_to(self.root)) for p in found if p.name != "download_dataset.sh"
        )


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.hold.clear()
        server.shutdown()
        thread.join()


@pytest.fixture
def kit(tmp_path: Path, server: Server) -> Iterator[Kit]:
    """Whose shells can trap SIGINT: not where their parent ignores it, as background jobs do."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield Kit(tmp_path, server)
    signal.signal(signal.SIGINT, before)


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def png(color: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (color, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def afhq_zip(top: str = "", more: dict | None = None) -> bytes:
    """An archive of two training pictures and one test picture per class."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i, name in enumerate(CLASSES):
            for file in ("train/{}/1.png", "train/{}/2.png", "test/{}/1.png"):
                archive.writestr(top + file.format(name), png(i))
        for name, data in (more or {}).items():
            archive.writestr(name, data)
    return buffer.getvalue()


AFHQ_FILES = sorted(
    f"data/afhq/{part}"
    for name in CLASSES
    for part in (f"train/{name}/1.png", f"train/{name}/2.png", f"test/{name}/1.png")
)
TAESD_FILES = ["pretrained/taesd_decoder.pth", "pretrained/taesd_encoder.pth"]


@both_downloaders
def test_weights_arrive_once(kit: Kit, tmp_path: Path, downloader: str):
    """From any folder the weights land beside the script; a second run asks the server nothing."""
    kit.use(downloader)
    output = kit.run("taesd", cwd=tmp_path)
    assert kit.files() == TAESD_FILES
    assert (kit.root / TAESD_FILES[1]).read_bytes() == ENCODER
    assert output.count("downloaded and checked") == 2
    kit.server.requests.clear()
    assert kit.run("taesd", cwd=tmp_path).count("is already there") == 2
    assert kit.server.requests == []


def test_mnist_in_torchvisions_layout(kit: Kit):
    """MNIST's four files pass torchvision's hashes and lie where torchvision looks for them."""
    folder = find_asset("data/MNIST/raw")
    real = {p.name: p.read_bytes() for p in folder.glob("*.gz")}
    kit.server.files = {f"mnist/{name}": data for name, data in real.items()}
    kit.run("mnist")
    assert kit.files() == sorted(f"data/MNIST/raw/{name}" for name in real)
    kit.server.requests.clear()
    assert kit.run("mnist").count("is already there") == 4
    assert kit.server.requests == []


def test_no_name_means_taesd_and_afhq(kit: Kit):
    """Without arguments come the weights and the animals, and no digits."""
    kit.server.files["afhq.zip"] = afhq_zip()
    kit.run()
    assert kit.files() == AFHQ_FILES + TAESD_FILES


@pytest.mark.parametrize("tool", ["sha1sum", "shasum", "openssl", "git"])
def test_every_hash_program_agrees(kit: Kit, tool: str):
    """With just one of the programs that compute a blob id, right files pass and others do not."""
    kit.remove("sha1sum", "shasum", "openssl", "git")
    kit.link(tool)
    kit.run("taesd")
    (kit.root / TAESD_FILES[0]).write_bytes(ENCODER)  # in the decoder's place
    assert blob_id(ENCODER) in kit.run("taesd", code=1)


@both_downloaders
def test_slow_server(kit: Kit, downloader: str):
    """A server that sends in pieces with pauses is waited for."""
    kit.use(downloader)
    kit.server.pause = 0.05
    kit.run("taesd")
    assert kit.files() == TAESD_FILES


@both_downloaders
def test_broken_connection_is_resumed(kit: Kit, downloader: str):
    """After a break in the middle only the missing bytes are asked for, within the same run."""
    kit.use(downloader)
    kit.server.cuts = [50_000]
    assert "broke after 50000 bytes" in kit.run("taesd")
    asked = [r for name, r in kit.server.requests if name == "taesd_encoder.pth"]
    assert asked == [None, "bytes=50000-"]
    assert kit.files() == TAESD_FILES


@both_downloaders
def test_server_without_ranges(kit: Kit, downloader: str):
    """Where the server cannot go on in the middle, the download starts over and is right."""
    kit.use(downloader)
    kit.server.ranges = False
    kit.server.cuts = [50_000]
    kit.run("taesd")
    assert kit.files() == TAESD_FILES


@both_downloaders
@pytest.mark.parametrize("stale", [b"x" * 1000, ENCODER + b"x"], ids=["other bytes", "too long"])
def test_stale_part_is_thrown_away(kit: Kit, downloader: str, stale: bytes):
    """A part of another file is resumed, found wrong, and loaded again from scratch."""
    kit.use(downloader)
    (kit.root / "pretrained").mkdir()
    (kit.root / "pretrained/taesd_encoder.pth.part").write_bytes(stale)
    assert "starting over" in kit.run("taesd")
    asked = [r for name, r in kit.server.requests if name == "taesd_encoder.pth"]
    assert asked == [f"bytes={len(stale)}-", None]
    assert kit.files() == TAESD_FILES


def test_complete_part_needs_no_request(kit: Kit):
    """A download that was stopped between its last byte and its check is used as it is."""
    (kit.root / "pretrained").mkdir()
    (kit.root / "pretrained/taesd_encoder.pth.part").write_bytes(ENCODER)
    kit.run("taesd")
    assert [name for name, _ in kit.server.requests] == ["taesd_decoder.pth"]
    assert kit.files() == TAESD_FILES


@both_downloaders
@pytest.mark.parametrize(
    ("name", "file"), [("taesd", "taesd_encoder.pth"), ("afhq", "afhq.zip")], ids=["pth", "zip"]
)
def test_error_page_is_recognised(kit: Kit, downloader: str, name: str, file: str):
    """A web page that comes with status 200 is called a web page, and is not kept."""
    kit.use(downloader)
    kit.server.files[file] = PAGE
    output = kit.run(name, code=1)
    assert "is a web page" in output
    assert f"{kit.server.url}/{file}" in output
    assert kit.files() == []


@both_downloaders
@pytest.mark.parametrize(
    ("url", "reason"),
    [("{}/nowhere", "404"), ("http://127.0.0.1:1", "refused")],
    ids=["404", "refused"],
)
def test_failure_says_what_to_do_by_hand(kit: Kit, downloader: str, url: str, reason: str):
    """When nothing comes, the reason, the address and the place for the file are printed."""
    kit.use(downloader)
    kit.env["TAESD_URL"] = url.format(kit.server.url)
    output = kit.run("taesd", code=1)
    words = [f"{kit.env['TAESD_URL']}/taesd_encoder.pth", f"{kit.root}/{TAESD_FILES[1]}\n"]
    for word in [*words, "browser"]:
        assert word in output
    # curl says "Couldn't connect" or "Failed to connect", depending on its version
    assert reason in output.lower() or "connect to" in output
    assert kit.files() == []


def test_wrong_hash(kit: Kit):
    """Another file of the right name is refused with both hashes, and is not kept."""
    kit.server.files["taesd_encoder.pth"] = DECODER
    output = kit.run("taesd", code=1)
    assert blob_id(DECODER) in output
    assert blob_id(ENCODER) in output
    assert kit.files() == []


def test_own_file_is_never_overwritten(kit: Kit):
    """A file that is there but is another one is reported, and neither replaced nor deleted."""
    (kit.root / "pretrained").mkdir()
    (kit.root / "pretrained/taesd_encoder.pth").write_bytes(b"my own weights")
    assert "is there, but" in kit.run("taesd", code=1)
    assert (kit.root / "pretrained/taesd_encoder.pth").read_bytes() == b"my own weights"
    assert kit.server.requests == []


@pytest.mark.parametrize(("downloader", "code"), [("curl", 23), ("wget", 3)])
def test_full_disk(kit: Kit, downloader: str, code: int):
    """A part that cannot be written ends the attempts at once, and names the disk as suspect."""
    kit.remove("curl", "wget")
    append = 'until [ "$1" = -o ] || [ "$1" = -O ]; do shift; done; echo some bytes >>"$2"'
    kit.program(downloader, f"{append}; exit {code}")
    output = kit.run("taesd", code=1)
    assert "disk full" in output
    assert "broke after" not in output
    assert kit.files() == ["pretrained/taesd_encoder.pth.part"]


def test_unpacking_fails(kit: Kit):
    """An archive that cannot be unpacked leaves no data/afhq, and is kept for the next run."""
    kit.server.files["afhq.zip"] = afhq_zip()
    kit.link("unzip")
    real = (kit.bin / "unzip").resolve()
    kit.program("unzip", f'{real} "$@"; case $1 in -q*) exit 50 ;; esac')
    assert "could not be unpacked" in kit.run("afhq", code=1)
    assert kit.files() == ["data/afhq_v2.zip"]


def test_links_in_the_archive_are_dropped(kit: Kit, tmp_path: Path):
    """Symbolic links in the archive, which could lead out of it, are not installed."""
    link = zipfile.ZipInfo("train/cat/link.png")
    link.create_system, link.external_attr = 3, 0o120777 << 16  # made by Unix, a link
    kit.server.files["afhq.zip"] = afhq_zip("", {link: str(tmp_path).encode()})
    kit.run("afhq")
    assert kit.files() == AFHQ_FILES


def test_one_failure_does_not_stop_the_rest(kit: Kit):
    """Where one of two fails, the other still comes, and the exit code tells."""
    assert "404" in kit.run("afhq", "taesd", code=1)
    assert kit.files() == TAESD_FILES


@both_downloaders
@pytest.mark.parametrize("group", [True, False], ids=["Ctrl-C", "kill"])
def test_interrupted_download(kit: Kit, downloader: str, group: bool):
    """SIGINT in the middle leaves a part and no file; the next run asks for the rest."""
    kit.use(downloader)
    kit.server.hold.set()
    process = kit.start("taesd")
    part = kit.root / "pretrained/taesd_encoder.pth.part"
    wait_until(lambda: part.exists() and part.stat().st_size)
    assert "same command again" in kit.interrupt(process, signal.SIGINT, group)
    assert kit.files() == ["pretrained/taesd_encoder.pth.part"]
    came = part.stat().st_size
    assert came < len(ENCODER)
    kit.server.hold.clear()
    kit.run("taesd")
    assert ("taesd_encoder.pth", f"bytes={came}-") in kit.server.requests
    assert kit.files() == TAESD_FILES


@both_unpackers
@pytest.mark.parametrize("top", ["", "afhq_v2/", "some/where/"])
def test_afhq_is_found_in_any_archive(kit: Kit, unpacker: str, top: str):
    """Whatever folders the archive has on top, the classes end in data/afhq, and are counted."""
    kit.use_unpacker(unpacker)
    shadow = {f"__MACOSX/{top}train/cat/._1.png": b"junk", f"{top}train/cat/.DS_Store": b"junk"}
    kit.server.files["afhq.zip"] = afhq_zip(top, shadow)
    output = kit.run("afhq")
    assert kit.files() == sorted([*AFHQ_FILES, "data/afhq/train/cat/.DS_Store"])
    assert "CC BY-NC 4.0" in output
    assert "cannot be opened" not in output
    for line in ["train/wild: 2 pictures", "test/cat: 1 pictures"]:
        assert line in output
    kit.server.requests.clear()
    assert "data/afhq is already there" in kit.run("afhq")
    assert kit.server.requests == []


def test_afhq_has_all_its_pictures(kit: Kit):
    """An archive with another number of pictures in a class is refused, and each class named."""
    kit.server.files["afhq.zip"] = afhq_zip("", {"train/dog/3.png": png()})
    del kit.env["AFHQ_COUNTS"]
    output = kit.run("afhq", code=1)
    for line in ("train/cat: 2 pictures, not 5065", "test/wild: 1 pictures, not 483"):
        assert line in output
    assert kit.files() == ["data/afhq_v2.zip"]
    kit.env["AFHQ_COUNTS"] = "2 2 2 1 1 1"
    output = kit.run("afhq", code=1)
    assert "train/dog: 3 pictures, not 2" in output
    assert "train/cat" not in output
    kit.env["AFHQ_COUNTS"] = "2 3 2 1 1 1"
    kit.run("afhq")
    assert "not all of AFHQ" not in kit.run("afhq")
    (kit.root / "data/afhq/test/cat/1.png").unlink()
    assert "test/cat: 0 pictures, not 1" in kit.run("afhq")


@both_unpackers
def test_a_name_of_two_lines_moves_nothing_else(kit: Kit, tmp_path: Path, unpacker: str):
    """A folder whose name has a second line, a path of the person's own, leads nowhere."""
    kit.use_unpacker(unpacker)
    own = [tmp_path / "own" / "train" / name / "1.png" for name in CLASSES]
    for file in own:
        file.parent.mkdir(parents=True)
        file.write_bytes(png())
    evil = f"a\n{own[0]}"
    near = "0/train/cat\n/1.png"
    kit.server.files["afhq.zip"] = afhq_zip("z/", {evil: png(), near: png()})
    kit.run("afhq")
    assert kit.files() == AFHQ_FILES
    assert all(file.exists() for file in own)


def test_folders_of_like_names_stay(kit: Kit):
    """Only what this script itself has unpacked is removed."""
    others = [kit.root / f"data/afhq.unpacking.{name}" for name in ("old", "1x")]
    for folder in others:
        folder.mkdir(parents=True)
    kit.server.files["afhq.zip"] = afhq_zip()
    kit.run("afhq")
    assert all(folder.is_dir() for folder in others)


def test_broken_picture_is_reported(kit: Kit):
    """A picture that cannot be opened is named with the reason; the others are installed."""
    more = {"afhq/train/dog/cut.png": png()[:-30], "afhq/test/wild/no.png": b"text"}
    kit.server.files["afhq.zip"] = afhq_zip("afhq/", more)
    output = kit.run("afhq")
    assert "2 of 11 files cannot be opened" in output
    assert "train/dog/cut.png: " in output
    assert "test/wild/no.png: no picture" in output
    assert set(AFHQ_FILES) < set(kit.files())


def test_without_pillow_names_are_checked(kit: Kit):
    """Without Pillow the script says so, and reports empty files and other endings."""
    kit.program("python3", f'exec "{sys.executable}" -S "$@"')
    more = {"train/dog/empty.png": b"", "train/cat/readme.txt": b"text"}
    kit.server.files["afhq.zip"] = afhq_zip("", more)
    output = kit.run("afhq")
    assert "Pillow is not here" in output
    assert "train/dog/empty.png" in output
    assert "train/cat/readme.txt" in output
    assert "1.png" not in output


def test_the_kits_own_python_opens_pictures(kit: Kit):
    """The Python of .venv, where `make setup` puts Pillow, is preferred over the system's."""
    kit.program("python3", "exit 1")
    (kit.root / ".venv/bin").mkdir(parents=True)
    python = kit.root / ".venv/bin/python"
    python.write_text(f'#!{SHELL}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    kit.server.files["afhq.zip"] = afhq_zip()
    assert "opening every picture" in kit.run("afhq")


@both_unpackers
def test_archive_cannot_write_elsewhere(kit: Kit, tmp_path: Path, unpacker: str):
    """Members named ../evil or /evil stay inside, so that nothing beside data/afhq changes."""
    kit.use_unpacker(unpacker)
    absolute = str(tmp_path / "evil")
    more = {"../evil": b"", "../../evil": b"", "afhq/../../../evil": b"", absolute: b""}
    kit.server.files["afhq.zip"] = afhq_zip("afhq/", more)
    kit.run("afhq")
    assert set(AFHQ_FILES) <= set(kit.files())
    assert all(kit.root / "data/afhq" in path.parents for path in tmp_path.rglob("evil"))


@both_unpackers
@pytest.mark.parametrize(
    "archive",
    [afhq_zip()[:-200], afhq_zip().replace(b"IDAT", b"XXXX", 1), b"PK\3\4 and so on"],
    ids=["cut", "flipped bits", "no archive"],
)
def test_damaged_archive(kit: Kit, unpacker: str, archive: bytes):
    """An archive that fails its own checksums is thrown away before anything is unpacked."""
    kit.use_unpacker(unpacker)
    kit.server.files["afhq.zip"] = archive
    assert "damaged" in kit.run("afhq", code=1)
    assert kit.files() == []


def test_archive_of_something_else(kit: Kit):
    """A good archive without the three classes is refused by naming what it lacks."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("afhq/train/cat/1.png", png())
    kit.server.files["afhq.zip"] = buffer.getvalue()
    assert "no pictures in train/dog train/wild" in kit.run("afhq", code=1)
    assert kit.files() == ["data/afhq_v2.zip"]


def test_archive_put_there_by_hand(kit: Kit):
    """An archive that a person saved as data/afhq_v2.zip is used without a request, and kept."""
    (kit.root / "data").mkdir()
    (kit.root / "data/afhq_v2.zip").write_bytes(afhq_zip("afhq/"))
    assert "may be deleted" in kit.run("afhq")
    assert kit.server.requests == []
    assert kit.files() == [*AFHQ_FILES, "data/afhq_v2.zip"]


def test_other_data_is_left_alone(kit: Kit):
    """A data/afhq that holds something else stops the run before gigabytes are loaded."""
    (kit.root / "data/afhq/train/cat").mkdir(parents=True)
    (kit.root / "data/afhq/train/cat/1.png").write_bytes(png())
    assert "no pictures in train/dog train/wild" in kit.run("afhq", code=1)
    assert kit.server.requests == []
    assert kit.files() == ["data/afhq/train/cat/1.png"]


@pytest.mark.parametrize("group", [True, False], ids=["Ctrl-C", "kill"])
def test_interrupted_unpacking(kit: Kit, group: bool):
    """A stop while unpacking leaves no data/afhq; the next run needs no second download."""
    kit.server.files["afhq.zip"] = afhq_zip()
    kit.link("unzip")
    real = (kit.bin / "unzip").resolve()
    kit.program("unzip", f'{real} "$@"; case $1 in -q*) exec {shutil.which("sleep")} 20 ;; esac')
    process = kit.start("afhq")
    wait_until(lambda: list(kit.root.glob("data/afhq.unpacking.*/test/wild/1.png")))
    kit.interrupt(process, signal.SIGINT, group)
    assert kit.files() == ["data/afhq_v2.zip"]
    kit.link("unzip")
    kit.server.requests.clear()
    kit.run("afhq")
    assert kit.server.requests == []
    assert set(AFHQ_FILES) <= set(kit.files())


def test_leftovers_of_a_killed_run_go(kit: Kit):
    """What a run that was killed outright had unpacked is removed, what a live one has is not."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    for pid in (dead.pid, os.getpid()):
        (kit.root / f"data/afhq.unpacking.{pid}").mkdir(parents=True)
    kit.server.files["afhq.zip"] = afhq_zip()
    kit.run("afhq")
    left = [p.name for p in (kit.root / "data").glob("afhq.*")]
    assert left == [f"afhq.unpacking.{os.getpid()}"]


@pytest.mark.parametrize(
    ("name", "tools"),
    [
        ("taesd", "curl wget"),
        ("afhq", "unzip python3"),
        ("mnist", "md5sum openssl"),
        ("taesd", "sha1sum shasum openssl git"),
    ],
)
def test_missing_programs_are_named(kit: Kit, name: str, tools: str):
    """Where none of the programs for a task is installed, one sentence names them all."""
    kit.remove(*tools.split())
    output = kit.run(name, code=1)
    assert f"none of them is installed: {tools}\n" in output
    assert output.count("error:") == 1
    assert kit.files() == []


def test_unknown_name(kit: Kit):
    """A name that is not known ends the run before anything is loaded, and lists the known ones."""
    output = kit.run("taesd", "celeba", code=2)
    assert "'celeba'" in output
    assert all(name in output for name in ("afhq", "taesd", "mnist"))
    assert kit.server.requests == []
    assert kit.files() == []


def test_help_explains_names_and_variables(kit: Kit):
    """-h prints the usage: every name, every environment variable, the exit codes."""
    output = kit.run("-h")
    for word in ["afhq", "taesd", "mnist", "AFHQ_URL", "TAESD_ENCODER_ID", "Exit codes"]:
        assert word in output
    assert "#" not in output
    assert "set -u" not in output
