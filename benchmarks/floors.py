"""The oldest versions that setup.cfg allows, as constraints of pip.

> python benchmarks/floors.py > floors.txt
> pip install -c floors.txt -e ".[baselines,dask,demo,download,faiss,\
metric-learning,onnx,page,shards,silero,tensorboard,vocals]" \
    pytest pytest-xdist "hypothesis<7" pydub

makes the oldest set for ``benchmarks/reliability.py --only versions``. What
tests and documents alone need is of any version.
"""

from __future__ import annotations

import configparser

from packaging.requirements import Requirement
from runs import ROOT

#: Extras that whoever works on the project has, not who uses it.
TOOLS = {"benchmarks", "dev", "docs", "fuzz"}


def floors(text: str) -> dict[str, str]:
    """Lowest version of each package that has one.

    Arguments
    ---------
    text : str
        What stands in setup.cfg.

    Returns
    -------
    dict[str, str]
        Versions by the names of packages.
    """
    config = configparser.ConfigParser()
    config.read_string(text)
    lines = [config["options"]["install_requires"]]
    lines += [
        own
        for extra, own in config["options.extras_require"].items()
        if extra not in TOOLS
    ]
    found = {}
    for line in "\n".join(lines).splitlines():
        if not line or line.startswith("#"):
            continue
        wanted = Requirement(line)
        for bound in wanted.specifier:
            if bound.operator == ">=":
                found[wanted.name] = bound.version
    return found


def main() -> None:
    """Print a line a package."""
    text = (ROOT / "setup.cfg").read_text()
    for name, version in sorted(floors(text).items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
