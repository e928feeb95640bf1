"""Settings: defaults, and errors that name variable, value and rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from crowdsky.errors import SettingsError
from crowdsky.settings import available_cores, load_settings


def test_defaults_need_no_environment() -> None:
    settings = load_settings({})
    assert settings.cache_dir.is_absolute()
    assert settings.cache_dir.name == "crowdsky"
    assert settings.jobs == available_cores() >= 1


def test_the_environment_is_heard(tmp_path: Path) -> None:
    settings = load_settings({"CROWDSKY_CACHE_DIR": str(tmp_path), "CROWDSKY_JOBS": " 3 "})
    assert settings.cache_dir == tmp_path
    assert settings.jobs == 3


def test_an_empty_variable_is_no_variable() -> None:
    assert load_settings({"CROWDSKY_CACHE_DIR": "", "CROWDSKY_JOBS": " "}) == load_settings({})


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1025", "nan"])
def test_a_bad_number_of_jobs(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"CROWDSKY_JOBS": value})
    assert str(caught.value) == f"{value}: CROWDSKY_JOBS must be a whole number from 1 to 1024"
    assert caught.value.numbers == {"name": "CROWDSKY_JOBS"}


def test_a_relative_cache_folder() -> None:
    with pytest.raises(SettingsError, match="cache: CROWDSKY_CACHE_DIR must be an absolute path"):
        load_settings({"CROWDSKY_CACHE_DIR": "cache"})


def test_a_cache_folder_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SettingsError, match="CROWDSKY_CACHE_DIR must be a directory"):
        load_settings({"CROWDSKY_CACHE_DIR": str(file)})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load_settings({}).jobs = 5  # type: ignore[misc]
