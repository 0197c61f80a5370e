"""The recipe of the service: what it installs can be installed from the project's folder."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_recipe_installs_from_where_the_project_is() -> None:
    recipe = (ROOT / "scripts" / "audiocnn.service").read_text(encoding="utf-8")
    (wanted,) = re.findall(r"pip install (\S+)", recipe)
    folder, extra = re.fullmatch(r"'(.*)\[(\w+)\]'", wanted).groups()  # type: ignore[union-attr]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extra in project["optional-dependencies"]
    assert (ROOT / folder / "pyproject.toml").exists()  # not a name that an index lacks
    for file in re.findall(r"install -m \d+ (\S+\.service)", recipe):
        assert (ROOT / file).exists()
