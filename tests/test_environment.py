"""environment.yml, pyproject.toml, constraints.txt and whatever else names a version agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import run
from tools import lock

ROOT = Path(__file__).resolve().parents[1]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
DECLARED = sorted({*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)})
LOCK = (ROOT / "constraints.txt").read_text(encoding="utf-8")
CI = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load(CI)

FROM_CONDA = [entry for entry in CONDA["dependencies"] if isinstance(entry, str)]
FROM_PIP = next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
PYTHON_OF_CONDA = next(entry for entry in FROM_CONDA if entry.startswith("python")).split("=")[1]
PYTHONS_OF_WORKFLOW = re.findall(r'"(3\.\d+)"', CI)


PINS = [Requirement(line) for line in LOCK.splitlines()]


def pins(name, **where):
    """The lock's lines for one package; with markers' values, those that apply there."""
    named = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(name)]
    return [pin for pin in named if not where or pin.marker is None or pin.marker.evaluate(where)]


def test_conda_brings_python_and_pip_and_nothing_else():
    assert sorted(re.split("[=<>]", entry)[0] for entry in FROM_CONDA) == ["pip", "python"]
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]


def test_the_python_of_conda_is_one_that_the_project_and_the_workflow_have():
    # repo2docker reads this form, and no other
    assert f"python={PYTHON_OF_CONDA}" in FROM_CONDA and re.fullmatch(r"3\.\d+", PYTHON_OF_CONDA)
    assert PYTHON_OF_CONDA in SpecifierSet(PROJECT["requires-python"])
    assert PYTHON_OF_CONDA in PYTHONS_OF_WORKFLOW


def test_conda_installs_the_project_from_the_lock():
    constraint, project = FROM_PIP
    assert constraint == "-c constraints.txt"
    extras = re.fullmatch(r"-e \.\[(.*)\]", project)[1].split(",")
    assert set(extras) <= set(EXTRAS)


def test_the_oldest_python_is_the_same_everywhere():
    oldest = ".".join(map(str, run.MINIMUM))
    assert PROJECT["requires-python"] == f">={oldest}"
    assert oldest == min(PYTHONS_OF_WORKFLOW, key=Version)
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{oldest.replace('.', '')}"
    for document in ("README.md", "CONTRIBUTING.md", "Makefile"):
        text = (ROOT / document).read_text(encoding="utf-8")
        assert set(re.findall(r"Python (?:≥ ?|>= ?)?(3\.\d+)", text)) <= {oldest}, document


@pytest.mark.parametrize("line", DECLARED)
def test_every_dependency_is_locked_within_its_range(line):
    wanted = Requirement(line)
    assert wanted.specifier, f"{wanted.name} has no range in pyproject.toml"
    assert pins(wanted.name), f"{wanted.name} is not in constraints.txt: make lock"
    for pin in pins(wanted.name):
        (clause,) = pin.specifier
        assert wanted.specifier.contains(clause.version, prereleases=True)


@pytest.mark.parametrize("python", sorted({PYTHON_OF_CONDA, *PYTHONS_OF_WORKFLOW}, key=Version))
@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_the_lock_has_one_version_of_a_package_for_each_python_and_platform(python, platform):
    here = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": platform}
    assert [pin.name for pin in PINS if len(pins(pin.name, **here)) > 1] == []
    assert [line for line in DECLARED if len(pins(Requirement(line).name, **here)) != 1] == []


def test_the_lock_is_exact_and_names_no_host():
    for line in LOCK.splitlines():
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][^ ;+@/]*( ; [A-Za-z_0-9 '<>=!.*()-]+)?", line), line
    assert lock.portable(LOCK) == LOCK


def test_torch_is_pinned_where_the_lock_is_made():
    (torch,) = PYPROJECT["tool"]["uv"]["constraint-dependencies"]
    assert torch.startswith("torch==") and torch in LOCK.splitlines()


def test_what_ties_the_lock_to_a_machine_is_left_out():
    tied = "# from /here\n--find-links /there\nnvidia-cublas==1 ; x\ncuda-toolkit==2\ntriton==3\n"
    resolved = tied + "torch==2.13.0+cpu ; y\nnumpy==2.4.6\n"
    assert lock.portable(resolved) == "torch==2.13.0 ; y\nnumpy==2.4.6\n"


def test_the_citation_has_the_version_and_the_survey():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["authors"] == PROJECT["authors"]
    assert citation["references"][0]["identifiers"][0]["value"] == "arXiv:2603.18331"
    assert PROJECT["version"] in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_workflow_runs_on_three_systems_and_weekly():
    jobs = WORKFLOW["jobs"]
    systems = [jobs["linux"]["runs-on"], *jobs["without-make"]["strategy"]["matrix"]["os"]]
    assert {name.split("-")[0] for name in systems} == {"ubuntu", "macos", "windows"}
    assert {"push", "schedule"} <= set(WORKFLOW[True])  # YAML 1.1 reads the key `on` as true
    assert jobs["without-make"]["steps"][-1]["run"] == "python run.py test"
    assert ".ci/run --no-skip" in [step.get("run") for step in jobs["linux"]["steps"]]
    assert jobs["every-chapter"]["if"] == "github.event_name == 'schedule'"
    weekly = [step.get("run") for step in jobs["every-chapter"]["steps"]]
    assert 'make browser ARGS="--no-skip --all"' in weekly and "make steady" in weekly
