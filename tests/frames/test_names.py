"""Names of blocks, and the traps in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from crowdsky.frames import healpix_name, rounded_site, safe_target, tenth_degree_name
from crowdsky.frames.names import block_start, chunk_of_day, healpix_index

NAN = float("nan")
TIME = datetime(2025, 3, 27, 1, 20, 32, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "name"),
    [
        (192.77, 41.12, "20250327.05_192.8_+41.1"),
        (5.04, -5.06, "20250327.05_005.0_-05.1"),
        (359.94, 0.0, "20250327.05_359.9_+00.0"),
        (359.97, 0.0, "20250327.05_000.0_+00.0"),
        (360.0, 0.0, "20250327.05_000.0_+00.0"),
        (-0.01, 0.0, "20250327.05_000.0_+00.0"),
        (10.0, -0.04, "20250327.05_010.0_+00.0"),
        (10.0, -0.06, "20250327.05_010.0_-00.1"),
        (10.0, -0.0, "20250327.05_010.0_+00.0"),
        (10.0, 90.0, "20250327.05_010.0_+90.0"),
        (10.0, -90.0, "20250327.05_010.0_-90.0"),
        (NAN, 10.0, ""),
        (10.0, NAN, ""),
        (10.0, 91.0, ""),
    ],
)
def test_tenth_degree_names(ra_deg: float, dec_deg: float, name: str) -> None:
    assert tenth_degree_name(TIME, ra_deg, dec_deg) == name


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "name"),
    [
        (45.0, 90.0, "20250327.05_HP000000"),
        (45.0, -89.9, "20250327.05_HP196604"),
        (NAN, NAN, ""),
        (NAN, 10.0, ""),
        (10.0, -90.1, ""),
    ],
)
def test_healpix_names(ra_deg: float, dec_deg: float, name: str) -> None:
    assert healpix_name(TIME, ra_deg, dec_deg) == name


def test_the_pole_pixel_never_means_unknown() -> None:
    assert healpix_name(TIME, 10.0, 89.9).endswith("HP000000")
    assert "HP" not in healpix_name(TIME, NAN, NAN)
    with pytest.raises(ValueError, match="no position"):
        healpix_index(NAN, NAN)


def test_tiles_are_the_ring_scheme_at_nside_128() -> None:
    # Gorski et al. 2005, ApJ 622, 759: rings from north to south, east along each. Behind the polar
    # cap of 2 n (n - 1) pixels every ring has 4 n; the equator is ring 2 n.
    n = 128
    equator = 2 * n * (n - 1) + (2 * n - n) * 4 * n
    assert healpix_index(180.3, 0.0) in range(equator, equator + 4 * n)
    assert healpix_index(180.3, 0.0) - healpix_index(90.3, 0.0) == n
    assert healpix_index(315.0, -89.9) == 12 * n * n - 1


@pytest.mark.parametrize(
    ("hour", "minute", "second", "microsecond", "chunk"),
    [(0, 0, 0, 0, 0), (0, 14, 59, 999999, 0), (0, 15, 0, 0, 1), (23, 59, 59, 999999, 95)],
)
def test_chunks(hour: int, minute: int, second: int, microsecond: int, chunk: int) -> None:
    time = TIME.replace(hour=hour, minute=minute, second=second, microsecond=microsecond)
    assert chunk_of_day(time) == chunk
    assert timedelta(0) <= time - block_start(time) < timedelta(minutes=15)


def test_names_are_of_utc_whatever_the_zone() -> None:
    local = datetime(2025, 3, 26, 21, 20, 32, tzinfo=timezone(timedelta(hours=-4)))
    assert tenth_degree_name(local, 192.77, 41.12) == tenth_degree_name(TIME, 192.77, 41.12)
    with pytest.raises(ValueError, match="without a time zone"):
        tenth_degree_name(TIME.replace(tzinfo=None), 0.0, 0.0)
    with pytest.raises(ValueError, match="without a time zone"):
        healpix_name(TIME.replace(tzinfo=None), NAN, NAN)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("M 94", "M_94"),
        ("NGC 7023", "NGC_7023"),
        ("C/2023 A3 (Tsuchinshan-ATLAS)", "C_2023_A3_Tsuchinshan-ATLAS"),
        ("", "unnamed"),
        ("...", "unnamed"),
        ("a..b", "a.b"),
        ("nul", "target_nul"),
        ("Aux.fit", "target_Aux.fit"),
        ("Ω Cen", "Cen"),
        ("x" * 100, "x" * 40),
    ],
)
def test_safe_targets(text: str, name: str) -> None:
    assert safe_target(text) == name


@pytest.mark.parametrize(
    ("site", "rounded"),
    [
        ((32.8965, -79.7625), (32.9, -79.8)),
        ((-0.04, 0.04), (0.0, 0.0)),
        ((89.99, 179.96), (90.0, 180.0)),
        ((-89.99, -179.96), (-90.0, 180.0)),
        ((10.0, 280.2), (10.0, -79.8)),
    ],
)
def test_sites_are_rounded(site: tuple[float, float], rounded: tuple[float, float]) -> None:
    assert rounded_site(*site) == rounded
    assert all(str(value) != "-0.0" for value in rounded_site(*site))


def test_an_unknown_site_stays_unknown() -> None:
    assert all(value != value for value in rounded_site(NAN, NAN))
    assert rounded_site(32.8965, -79.7625, 1.0) == (33.0, -80.0)
    with pytest.raises(ValueError, match="more than 0"):
        rounded_site(0.0, 0.0, 0.0)
