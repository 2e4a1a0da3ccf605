"""The command that a card names asks for the same again."""

import dataclasses

import mujoco
import pytest
import tyro

from train.origin import body_digest, check_free, origin


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


BODY = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <body name="rod"><joint name="hinge"/><geom size=".1" rgba="1 0 0 1"/></body>
  </worldbody>
</mujoco>
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("rod", "pole of another name", True),
        ("<worldbody>", "<!-- a note --><worldbody>", True),
        ("0.002", "0.003", False),
        ("1 0 0 1", "1 1 0 1", False),
        ('size=".1"', 'size=".1" mass="9"', False),
        ('name="hinge"', 'name="hinge" type="slide"', False),
    ],
)
def test_a_body_is_known_by_its_numbers(old, new, same):
    before, after = (mujoco.MjModel.from_xml_string(text) for text in (BODY, BODY.replace(old, new)))
    assert (body_digest(before) == body_digest(after)) == same
