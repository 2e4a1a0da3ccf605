"""What is asked of the hub and what a failure says, against a small server that speaks the hub's protocol."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from jaxrm.weights import hub
from jaxrm.weights.family import DECODERS

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOWHERE = "http://127.0.0.1:9"


class Server:
    """Repositories are folders under `root`: `organisation/name`. `asked` are the files that were sent."""

    def __init__(self, root: Path):
        self.root, self.asked = root, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self, send=True)

            def do_HEAD(self):
                outer.answer(self, send=False)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request: BaseHTTPRequestHandler, *, send: bool) -> None:
        parts = unquote(urlsplit(request.path).path).strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            name, rest = "/".join(parts[2:4]), parts[4:]
        else:
            name, rest = "/".join(parts[:2]), parts[2:]
        folder = self.root / name
        if name == "org/gated":
            return self._reply(request, 403, b"{}", {"X-Error-Code": "GatedRepo"}, send)
        if not folder.is_dir():
            return self._reply(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"}, send)
        if rest[:1] == ["resolve"]:
            content = (folder / "/".join(rest[2:])).read_bytes()
            if send:
                self.asked.append("/".join(rest[2:]))
            tag = hashlib.sha1(content).hexdigest()
            return self._reply(request, 200, content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}, send)
        files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        if rest[:1] == ["tree"]:
            listed: object = [
                {
                    "type": "file",
                    "path": file,
                    "size": (folder / file).stat().st_size,
                    "oid": hashlib.sha1(file.encode()).hexdigest(),
                }
                for file in files
            ]
        else:
            listed = {"id": name, "sha": COMMIT, "siblings": [{"rfilename": file} for file in files]}
        return self._reply(request, 200, json.dumps(listed).encode(), {}, send)

    def _reply(self, request, status: int, content: bytes, headers: dict[str, str], send: bool) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            request.send_header(name, value)
        request.end_headers()
        if send:
            request.wfile.write(content)


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path / "hub")
    yield server
    server.http.shutdown()
    server.http.server_close()


LOAD = """
import sys
from jaxrm.weights import files
for name in sys.argv[1:]:
    try:
        print(sorted(p.name for p in files.find(name).iterdir()))
    except FileNotFoundError as error:
        print(f"error: {error}")
"""


@pytest.fixture
def find(server, tmp_path):
    """Runs `files.find` in a process of its own: huggingface_hub reads its settings once, at import."""

    def run(*names: str, **environment: str) -> str:
        given = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_XET": "1"}
        done = subprocess.run(
            [sys.executable, "-c", LOAD, *names],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **given, **environment},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def repository(server: Server, name: str, *sources: Path, **extra: bytes) -> Path:
    folder = server.root / name
    folder.mkdir(parents=True)
    for source in sources:
        shutil.copytree(source, folder, dirs_exist_ok=True)
    for file, content in extra.items():
        (folder / file.replace("__", ".")).write_bytes(content)
    return folder


def test_shards_and_small_files_are_fetched_no_pickle_and_then_it_works_offline(server, find):
    junk = {"pytorch_model__bin": b"x", "modeling__py": b"x", "flax_model__msgpack": b"x", "README__md": b"x"}
    odd = GOLDEN / "clip-gelu-odd"
    repository(server, "org/odd", odd, **junk, open_clip_model__safetensors=b"x", merges__txt=b"x")
    wanted = sorted([*(p.name for p in odd.iterdir() if p.suffix != ".npz"), "merges.txt"])
    assert find("org/odd") == str(wanted)
    assert sorted(server.asked) == wanted
    server.asked.clear()
    assert find("org/odd", HF_HUB_OFFLINE="1") == str(wanted)
    assert find("org/odd", HF_ENDPOINT=NOWHERE) == str(wanted)
    assert server.asked == []


def test_of_open_clip_only_its_own_weights_are_fetched(server, find):
    extra = {"open_clip_config__json": b"{}", "config__json": b'{"architecture": "timm"}'}
    weights = {"open_clip_model__safetensors": b"x", "model__safetensors": b"x"}
    repository(server, "org/rn50", **extra, **weights)
    assert find("org/rn50") == "['config.json', 'open_clip_config.json', 'open_clip_model.safetensors']"


def test_all_decoders_are_known_where_pickles_are_refused():
    assert set(hub.DECODER_TYPES) == {kind for family in DECODERS for kind in family.model_types}


def test_a_pickle_on_the_hub_is_named_and_not_fetched(server, find):
    repository(server, "org/old", config__json=b'{"model_type": "clip"}', pytorch_model__bin=b"x")
    repository(server, "org/lm", config__json=b'{"model_type": "gpt_neox"}', pytorch_model__bin=b"x")
    said, of_decoder = find("org/old"), find("org/lm")
    assert "import AutoModel as M" in said and "import AutoModelForCausalLM as M" in of_decoder
    assert "'org/old' of the Hugging Face hub holds its weights as pytorch_model.bin only" in said
    assert "torch.load(" in said and "hf download" in said
    assert server.asked == ["config.json"] * 2


def test_a_failure_names_the_model_and_the_way_out(find):
    none, gated, bad = find("org/none", "org/gated", "org/-bad-").splitlines()
    assert "no directory 'org/none' here" in none and "no model of that name, or it is private" in none
    assert "accept its terms on https://huggingface.co/org/gated" in gated
    assert "'org/-bad-'" in bad and "no possible name" in bad


def test_without_a_network_it_says_so(find):
    offline, unplugged = find("org/none", HF_HUB_OFFLINE="1"), find("org/none", HF_ENDPOINT=NOWHERE)
    assert "'org/none'" in offline and "cannot be reached (HF_HUB_OFFLINE is set)" in offline
    assert "cannot be reached and no complete copy" in unplugged and "hf download org/none" in unplugged


def test_no_pattern_lets_a_pickle_through():
    patterns = [*hub.SMALL_FILES, *hub.WEIGHTS, *hub.OPEN_CLIP_WEIGHTS]
    assert not any(pattern.endswith((*hub.PICKLES, ".py", "*")) for pattern in patterns)
