"""Folders as a Seestar leaves them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crowdsky.frames import find_frames

FILES = {
    "MyWorks/M 94_sub/Light_M 94_10.0s_IRCUT_20250326-212046.fit": "",
    "MyWorks/M 94_sub/Light_M 94_10.0s_IRCUT_20250326-212046.jpg": "picture or thumbnail",
    "MyWorks/M 94_sub/Light_M 94_10.0s_IRCUT_20250326-212046_thn.jpg": "picture or thumbnail",
    "MyWorks/M 94_sub/Light_M 94_10.0s_IRCUT_20250326-212046_thn.fit": "picture or thumbnail",
    "MyWorks/M 94/Stacked_32_M 94_10.0s_IRCUT_20250326-213000.fit": "",
    "MyWorks/M 94/DSO_Stacked_32_M 94_10.0s_20250326_213000.FITS": "",
    "MyWorks/Lunar/Lunar_2025-03-26.fit": "Moon or Sun",
    "MyWorks/Solar_2025/a.fit": "Moon or Sun",
    "MyWorks/Solaris_sub/Light_Solaris.fit": "",
    "MyWorks/scenery_video/a.fit": "video",
    "MyWorks/planet/2025_video.mp4": "video",
    "MyWorks/planet/2025.avi": "video",
    "MyWorks/M 94_sub/._Light.fit": "hidden file",
    ".Trash/a.fit": "hidden file",
    "MyWorks/M 94_sub/a.fit.fz": "compressed file, unpack it first",
    "MyWorks/notes.txt": "not a FITS image",
    "MyWorks/README": "not a FITS image",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(FILES):
        path = tmp_path / "night" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number), encoding="utf-8")
    return tmp_path / "night"


def test_frames_are_found_and_the_rest_is_counted(folder: Path) -> None:
    found = find_frames(folder)
    names = [path.relative_to(folder).as_posix() for path in found.frames]
    assert names == sorted(name for name, reason in FILES.items() if not reason)
    reasons = {item.file.relative_to(folder).as_posix(): item.reason for item in found.skipped}
    assert reasons == {name: reason for name, reason in FILES.items() if reason}
    assert sum(found.skipped_counts.values()) == len(found.skipped)
    assert found.skipped_counts["picture or thumbnail"] == 3
    assert len(found.frames) + len(found.skipped) == len(FILES)


def test_order_and_repetition_of_paths_do_not_matter(folder: Path) -> None:
    works = folder / "MyWorks"
    subs = works / "M 94_sub"
    one = find_frames([subs, works, str(works / "notes.txt"), *subs.iterdir()])
    two = find_frames([*sorted(subs.iterdir(), reverse=True), works, subs])
    assert one == two
    assert len(one.frames) == len(set(one.frames)) == 4
    assert len(one.skipped) == len({item.file for item in one.skipped})


def test_the_name_of_the_folder_that_was_asked_for_is_not_judged(tmp_path: Path) -> None:
    folder = tmp_path / ".lunar_video"
    folder.mkdir()
    (folder / "a.fit").touch()
    assert find_frames(folder).frames == [folder / "a.fit"]


def test_a_missing_path_is_skipped_and_the_rest_goes_on(folder: Path) -> None:
    found = find_frames([folder / "none", folder])
    assert found.skipped_counts["no such file or folder"] == 1
    assert len(found.frames) == 4


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_links_neither_loop_nor_repeat_a_frame(folder: Path) -> None:
    subs = folder / "MyWorks" / "M 94_sub"
    (subs / "loop").symlink_to(folder, target_is_directory=True)
    frame = next(subs.glob("Light*046.fit"))
    (subs / "a link.fit").symlink_to(frame)
    found = find_frames(folder)
    assert len(found.frames) == 4


def test_same_name_in_two_folders_are_two_frames(tmp_path: Path) -> None:
    for name in ("a/x.fit", "b/x.fit"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert len(find_frames(tmp_path).frames) == 2


@pytest.mark.parametrize("name", ['"><img onerror>.fit', "\u202etif.fit", "🌌.fit", "a\nb.fit"])
def test_strange_names_are_names(tmp_path: Path, name: str) -> None:
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system does not take the name")
    assert find_frames(tmp_path).frames == [tmp_path / name]
