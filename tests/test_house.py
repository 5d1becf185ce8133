"""The house keeps its own rules: floors, opening laws, no mocks, an example that loads."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from archiver import config

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(path for tree in ("archiver", "tests", "bench") for path in (ROOT / tree).rglob("*.py"))


def test_the_floors_are_kept() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_opens_with_its_law(path: Path) -> None:
    law = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))

    assert law, f"{path.relative_to(ROOT)} does not say what belongs in it"


def test_nothing_is_mocked() -> None:
    # Spelled in two parts, so that this file does not find itself.
    names = re.compile(
        "|".join(["unittest" + r"\.mock", "Magic" + "Mock", "pytest_" + "mock", r"\bmocker\b(?=[.:,)])"])
    )

    mocked = [str(path.relative_to(ROOT)) for path in SOURCES if names.search(path.read_text(encoding="utf-8"))]

    assert mocked == []


def test_no_folder_is_a_drawer() -> None:
    drawers = {"core", "common", "helpers", "utils", "util", "misc", "services", "managers"}

    found = [
        str(path.relative_to(ROOT))
        for path in SOURCES
        if drawers & {part.lower() for part in path.with_suffix("").parts}
    ]

    assert found == []


def test_the_example_configuration_at_the_top_is_the_one_init_writes() -> None:
    assert (ROOT / "config.example.toml").read_text(encoding="utf-8") == config.example()


def test_the_example_configuration_loads() -> None:
    assert config.load(ROOT / "config.example.toml").archive.path == ROOT / "archive"


def _commands(*words: str) -> list[str]:
    """The commands `archiver … --help` names."""
    said = subprocess.run(
        [Path(sys.executable).with_name("archiver"), *words, "--help"],
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return re.findall(r"^    ([a-z][a-z-]*)\b", said, re.MULTILINE)


def test_every_command_is_documented() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = _commands()
    completed = re.search(r'complete -W "([^"]*)" archiver', readme)

    assert len(commands) > 10
    assert [command for command in commands if f"`archiver {command}" not in readme] == []
    assert completed is not None
    assert sorted(commands) == sorted(completed[1].split())


def test_every_action_on_accounts_is_documented() -> None:
    [row] = re.findall(r"^\| `archiver account .*$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert [action for action in _commands("account") if not re.search(rf"\b{action}\b", row)] == []


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_the_lock_has_a_hash_for_every_package_and_names_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    packages = re.findall(r"^([\w.-]+)==", text, re.MULTILINE)
    without_hash = re.findall(r"^[\w.-]+==[^\\\n]*$", text, re.MULTILINE)

    assert packages
    assert without_hash == []
    assert re.findall(r"https?:|file:|--index|--find-links|--extra-index", text) == []


def test_what_runs_in_production_is_what_was_tested() -> None:
    pins = [
        set(re.findall(r"^([\w.-]+==[\w.!+-]+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))
        for lock in ("requirements.txt", "requirements-dev.txt")
    ]

    assert pins[0] <= pins[1]
