"""Workflows and the conda recipe agree with the project: they parse, and what they name is there."""

import re
import shlex

import pytest
from support import ROOT

from pyconvnet.cli import parser

yaml = pytest.importorskip("yaml")

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
EXTRAS = dict(
    re.findall(r"^(\w+) = \[(.*?)\]$", re.search(r"optional-dependencies\]\n(.*?)\n\n", PROJECT, re.S)[1], re.M | re.S)
)
DEPENDENCIES = re.findall(r'"(.+?)"', re.search(r"^dependencies = \[(.*)\]$", PROJECT, re.M)[1])
COMMANDS = {"ruff": "ruff", "mypy": "mypy"}  # -> the package that brings it
MODULES = {"build": "build", "twine": "twine", "pytest": "pytest", "sphinx": "sphinx"}


def loaded(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs():
    for path in WORKFLOWS:
        for name, job in loaded(path)["jobs"].items():
            yield pytest.param(job, id=f"{path.stem}-{name}")


def names(requirements):
    return {re.match(r"[\w-]+", r)[0].lower() for r in requirements}


def installed(words):
    """Packages that `pip install` with these words brings, those of extras included."""
    found = set()
    for word in (w for w in words if not w.startswith("-") and "://" not in w):
        extras = re.fullmatch(r"(?:\.|pyconvnet)\[(.+)\]", word)
        if extras:
            for extra in extras[1].split(","):
                found |= names(re.findall(r'"(.+?)"', EXTRAS[extra]))
        if extras or word in (".", "pyconvnet"):
            found |= {"pyconvnet"} | names(DEPENDENCIES)
        elif re.match(r"[\w-]", word):
            found |= names([word])
    return found


def test_there_are_workflows_for_tests_docs_and_packages():
    assert [path.stem for path in WORKFLOWS] == ["docs", "package", "tests"]
    for path in WORKFLOWS:
        workflow = loaded(path)
        # without a right that is not asked for here; "on" is a truth value in YAML 1.1
        assert workflow["permissions"] == {"contents": "read"} and {"pull_request", "push"} <= set(workflow[True])


@pytest.mark.parametrize("job", [*jobs()])
def test_each_step_runs_what_is_installed_and_reads_what_is_there(job):
    assert job["runs-on"] and job["timeout-minutes"] and job["steps"]
    there, checkout = {"pip"}, False
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", step["uses"])
            checkout = checkout or step["uses"].startswith("actions/checkout")
            continue
        command, *words = shlex.split(step["run"].replace("${{ ", "${{").replace(" }}", "}}"))
        if command == "test":
            continue
        if command == "python":
            assert words[0] == "-m"
            command, words = words[1], words[2:]
            assert MODULES.get(command, command) in there, step["run"]
            if command == "pip":
                assert words[0] == "install"
                there |= installed(words[1:])
        elif command == "pyconvnet":
            assert "pyconvnet" in there
            if words != ["--version"]:
                parser().parse_args(words)
        else:
            assert COMMANDS[command] in there, step["run"]
        if checkout:
            here = [w for w in words if re.fullmatch(r"[\w.]+(/[\w./-]+)*", w) and (w in ("docs", ".") or "/" in w)]
            assert [w for w in here if not (ROOT / w).exists()] == []


def test_the_tests_run_on_all_systems_and_releases_of_python_that_are_promised():
    matrix = loaded(ROOT / ".github/workflows/tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert {os.partition("-")[0] for os in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PROJECT)
    least = re.search(r'^requires-python = ">=(.+)"$', PROJECT, re.M)[1]
    first, last = re.search(r"Python (3\.\d+) to (3\.\d+)", (ROOT / "README.md").read_text(encoding="utf-8")).groups()
    assert (matrix["python"][0], matrix["python"][-1]) == (first, last) == (least, last)


def test_a_corner_has_the_oldest_releases_of_what_is_needed():
    corners = loaded(ROOT / ".github/workflows/tests.yml")["jobs"]["corners"]["strategy"]["matrix"]["include"]
    oldest = sorted(f"{d.replace('>=', '==')}.*" for d in DEPENDENCIES)
    assert any(sorted(corner["versions"].split()) == oldest for corner in corners)


def test_ruff_is_the_one_that_commits_are_checked_with():
    hooks = set(re.findall(r"ruff==[\d.]+", (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")))
    assert hooks == set(re.findall(r"ruff==[\d.]+", (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")))


def test_only_tags_are_published_and_without_a_password():
    text = (ROOT / ".github/workflows/package.yml").read_text(encoding="utf-8")
    publish = yaml.safe_load(text)["jobs"]["publish"]
    assert publish["if"] == "startsWith(github.ref, 'refs/tags/v')"
    assert publish["permissions"] == {"id-token": "write"} and publish["environment"] == "pypi"
    assert set(publish["needs"]) == {"build", "install"} and "secrets." not in text


def test_the_conda_recipe_says_what_pyproject_says():
    text = (ROOT / "conda.recipe" / "meta.yaml").read_text(encoding="utf-8")
    version = re.search(r'^{% set version = "(.+)" %}$', text, re.M)[1]
    text = re.sub(r"{%.*%}", "", text).replace("{{ version }}", version).replace("{{ PYTHON }}", "python")
    recipe = yaml.safe_load(text)

    def said(name):
        return re.search(rf'^{name} = "(.+)"$', PROJECT, re.M)[1]

    assert recipe["package"] == {"name": said("name"), "version": said("version")}
    assert recipe["about"]["summary"] == said("description") and recipe["about"]["license"] == said("license")
    assert (ROOT / recipe["about"]["license_file"]).is_file()
    python, *needed = (r.replace(" ", "") for r in recipe["requirements"]["run"])
    assert sorted(needed) == sorted(DEPENDENCIES)
    assert python == recipe["requirements"]["host"][0].replace(" ", "") == "python" + said("requires-python")
    scripts = re.search(r"^\[project.scripts\]\n(.*?)\n\n", PROJECT, re.M | re.S)[1].replace('"', "").splitlines()
    assert recipe["build"]["entry_points"] == scripts
    assert re.search(r"setuptools ?>=[\d.]+", PROJECT)[0] in {
        h.replace(" ", "") for h in recipe["requirements"]["host"]
    }
    for command in recipe["test"]["commands"]:
        words = command.split()
        if words[0] == "pyconvnet" and words[1:] != ["--version"]:
            parser().parse_args(words[1:])
