"""The golden Llama, as it is and to be spoiled."""

import shutil
from pathlib import Path

import pytest

import jaxrm
from tests.weights.decoder_files import LLAMA


@pytest.fixture
def copy(tmp_path):
    """A copy of the golden Llama, to be spoiled."""
    return Path(shutil.copytree(LLAMA, tmp_path / "copy"))


@pytest.fixture(scope="module")
def lm():
    return jaxrm.load_decoder(LLAMA)
