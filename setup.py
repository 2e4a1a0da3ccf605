"""The wheel carries the default weights: `checkpoints/NAME` becomes `jaxrm/checkpoints/NAME`."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithWeights(build_py):
    """An editable install reads the checkout's own `checkpoints/` and copies nothing."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        weights = sorted(Path("checkpoints").glob("*/*"))
        if not weights:
            raise FileNotFoundError("checkpoints/ is empty: the wheel would lack the default weights")
        for file in weights:
            target = Path(self.build_lib, "jaxrm", file)
            self.mkpath(str(target.parent))
            self.copy_file(str(file), str(target))


setup(cmdclass={"build_py": BuildWithWeights})
