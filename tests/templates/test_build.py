"""The front end's build: what it makes, that it makes it again, and what must not be in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.real_data import ROOT
from tests.templates.served import TEMPLATE, build, node

# Addresses that name something and are fetched by nobody: namespaces, and links in packages' facts.
NAMES_ONLY = (
    "http://www.w3.org/",
    "https://www.w3.org/",
    "https://github.com/",
    "http://www.apache.org/",
)


def test_the_same_sources_make_the_same_files(template: Path, tmp_path: Path) -> None:
    build(tmp_path / "again")
    first = {file.name: file.read_bytes() for file in (template / "static").iterdir()}
    again = {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()}
    assert sorted(first) == sorted(again)
    assert first == again


def test_the_manifest_names_files_that_are_there(template: Path) -> None:
    static = template / "static"
    told = json.loads((static / "manifest.json").read_text(encoding="utf-8"))
    names = [told["shell"], told["widgets"], told["favicon"], *told["shell_parts"]]
    names += [*told["widgets_parts"], *told["modules"].values(), *told["workers"].values()]
    assert set(told["modules"]) == {"bqplot", "bqscales"}
    assert set(told["workers"]) == {"agent_worker"}
    for name in names:
        assert (static / name).stat().st_size > 0
        # A name that says what is in it may be kept for ever.
        assert re.search(r"-(?:[0-9A-Z]{8}|[0-9a-f]{8})\.\w+$", name), name
    for name in ("theme.css", "favicon.svg"):
        assert (static / name).stat().st_size > 0


def test_nothing_is_fetched_from_another_host(template: Path) -> None:
    for file in (template / "static").iterdir():
        if file.suffix not in {".js", ".css", ".j2", ".json"}:
            continue
        text = file.read_text(encoding="utf-8")
        found = re.findall(r"https?://[\w.-]+[\w./-]*", text)
        strange = {one for one in found if not one.startswith(NAMES_ONLY)}
        assert strange == set(), file.name
        for host in ("cdn.", "jsdelivr", "unpkg", "esm.sh", "googleapis"):
            assert host not in text, file.name


def test_a_widget_of_anywidget_fits_its_python(template: Path) -> None:
    """The bundle holds the nbextension of the anywidget that is installed, not npm's."""
    installed = Path(sys.prefix) / "share/jupyter/nbextensions/anywidget/index.js"
    version = re.search(r'"?version"?\s*:\s*"(\d+\.\d+\.\d+)"', installed.read_text("utf-8"))
    bundle = next((template / "static").glob("widgets-*.js")).read_text("utf-8")
    assert "[anywidget]" in bundle
    assert version is None or version[1] in bundle


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [node(), str(TEMPLATE / "build.mjs"), "--out", str(tmp_path / "out"), "--jupyter", "/no"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "/no/nbextensions/anywidget/index.js is not there: install anywidget" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_two_lists_of_light_colours_agree() -> None:
    by_system, by_choice = _colours()[1:]
    assert by_system == by_choice


@pytest.mark.parametrize("mode", [0, 1], ids=["dark", "light"])
def test_contrast(mode: int) -> None:
    colours = _colours()[0] | (_colours()[1] if mode else {})
    grounds = ("bg", "surface", "raised", "sky")
    for text in ("text", "quiet", "accent", "accent-strong", "good", "warn", "bad"):
        for ground in grounds:
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for ground in ("accent", "accent-strong"):
        assert _contrast(colours["accent-text"], colours[ground]) >= 4.5
    for sign in ("edge", "focus", "dot", "star"):
        for ground in grounds:
            assert _contrast(colours[sign], colours[ground]) >= 3.0, (sign, ground)


def _colours() -> list[dict[str, str]]:
    """Colours of the dark night, of the light that the system asks for, of the light chosen."""
    sheet = (TEMPLATE / "src" / "theme.css").read_text(encoding="utf-8")
    starts = [
        sheet.index(start)
        for start in (
            ":root {",
            ':root:not([data-theme="dark"])',
            ':root[data-theme="light"]',
            "*,",
        )
    ]
    return [
        dict(re.findall(r"--cs-([\w-]+): ([^;]+);", sheet[start:end]))
        for start, end in pairwise(starts)
    ]


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2's contrast ratio."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_shell_by_itself() -> None:
    done = subprocess.run(
        [node(), "--test", str(ROOT / "tests" / "templates" / "shell.test.mjs")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
