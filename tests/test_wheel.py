"""What an install that is not editable has: the library, whole, and the default weights; nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def files(root, *below):
    return {
        path.relative_to(root).as_posix()
        for part in below
        for path in (root / part).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("built")
    words = f"-q egg_info --egg-base={out} build --build-base={out} --build-lib={out}/lib".split()
    subprocess.run([sys.executable, "setup.py", *words], cwd=ROOT, check=True, capture_output=True)
    return out / "lib"


def test_the_wheel_holds_the_library_and_the_default_weights(built):
    library = files(ROOT, "jaxrm")
    weights = {f"jaxrm/{file}" for file in files(ROOT, "checkpoints")}
    assert weights and files(built, ".") == library | weights


def test_weights_of_the_wheel_are_found_without_the_checkout(built, tmp_path):
    told = "import jaxrm; print(jaxrm.__file__, jaxrm.load_clip('scene-clip').processor.images.size)"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=tmp_path, env={"PYTHONPATH": str(built)}, check=True, text=True,
        capture_output=True,
    )  # fmt: skip
    assert done.stdout.split() == [str(built / "jaxrm" / "__init__.py"), "64"]
