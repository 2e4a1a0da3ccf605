"""The command that a card names asks for the same again."""

import dataclasses

import pytest
import tyro

from train.origin import check_free, origin


@dataclasses.dataclass(frozen=True)
class Config:
    steps: int = 3
    wide: bool = False
    deep: bool = True
    sizes: tuple[int, ...] = (1, 2)
    learning_rate: float = 1e-3
    data: str = ""


@pytest.mark.parametrize(
    "config",
    [Config(), Config(4, wide=True, deep=False, sizes=(3, 4, 5), learning_rate=2e-4)],
)
def test_the_command_gives_the_same_config(config):
    made = origin("thing", dataclasses.replace(config, data="here"), 90.0, without={"data"})
    head = "python -m train thing"
    assert made["command"].startswith(head) and made["minutes"] == 1.5
    assert tyro.cli(Config, args=made["command"][len(head) :].split()) == config


def test_a_checkpoint_is_not_replaced_unasked(tmp_path):
    check_free(tmp_path, overwrite=False)
    (tmp_path / "config.json").write_text("{}")
    check_free(tmp_path, overwrite=True)
    with pytest.raises(FileExistsError, match="take another --out, or --overwrite"):
        check_free(tmp_path, overwrite=False)
