"""The stack's file: what readers of the format rely on."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from crowdsky.aside import written_aside
from crowdsky.astrometry.plate_solution import Sip
from crowdsky.errors import StackError
from crowdsky.stacking import StackProduct, write_stack
from crowdsky.stacking.fits_bytes import card_image, encoded_checksum, ones_complement_sum
from tests.stacking.products import CD, SHAPE, product

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def made() -> StackProduct:
    return product()


@pytest.fixture(scope="module")
def file(made: StackProduct, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stack(made, tmp_path_factory.mktemp("stack") / "a.fits", processed_utc=NOW)


def test_it_is_valid_and_its_checksums_hold(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(file, checksum=True) as hdus:
            hdus.verify("exception")
            for hdu in hdus:
                assert hdu.verify_checksum() == 1
                assert hdu.verify_datasum() == 1
    assert file.stat().st_size % 2880 == 0


def test_one_flipped_bit_is_noticed(file: Path, tmp_path: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / "damaged.fits"
    damaged.write_bytes(data)
    with pytest.warns(Warning, match="verification failed"), fits.open(damaged, checksum=True) as h:
        [hdu.data for hdu in h]


def test_extensions_bear_their_names_in_order(file: Path, made: StackProduct) -> None:
    with fits.open(file) as hdus:
        assert [h.name for h in hdus] == [
            "PRIMARY", "RED", "GREEN", "BLUE", "FOOTPRINT", "STAR-TAB",
        ]  # fmt: skip
        assert hdus[0].data is None
        for name, plane in zip(("RED", "GREEN", "BLUE"), made.image.planes, strict=True):
            assert hdus[name].data.dtype == np.dtype(">f4")
            assert np.array_equal(hdus[name].data, plane)
            assert hdus[name].header["BUNIT"] == "adu"
        assert np.array_equal(hdus["FOOTPRINT"].data, made.footprint)
        assert hdus["FOOTPRINT"].data.shape == SHAPE


def test_the_cards_of_the_block(file: Path) -> None:
    header = fits.getheader(file)
    assert header["EXPTIME"] == 60.0
    assert header["SUBEXP"] == 10.0
    assert (header["NIMAGES"], header["NFRAMES"]) == (6, 7)
    assert header["OB-START"] == header["DATE-OBS"] == "2025-03-27T01:20:32.955"
    assert header["OB-END"] == header["DATE-END"] == "2025-03-27T01:21:44.205"
    assert header["OBSTOTAL"] == 71.25
    assert header["PLTSOLVD"] is True
    assert header["PLTSCALE"] == pytest.approx(np.sqrt(np.linalg.det(CD)) * 3600, rel=1e-6)
    assert (header["RA"], header["DEC"]) == (192.77, 41.12)
    assert header["TELESCOP"] == "Seestar S50"
    assert header["CREATOR"].startswith("CrowdSky")
    assert header["PROCDATE"].startswith("2026-01-02T03:04:05")
    assert header["STACKMET"]
    for letter in "RGB":
        assert header[f"FWHM{letter}"] > 1
        assert header[f"SKYLVL{letter}"] > 100
        assert header[f"SKYRMS{letter}"] > 0
    assert header["ZPGREEN"] == pytest.approx(22.0, abs=0.05)
    assert "TOTALEXP" not in header


def test_the_site_is_rounded_unless_asked_otherwise(made: StackProduct, tmp_path: Path) -> None:
    header = fits.getheader(write_stack(made, tmp_path / "r.fits"))
    assert (header["SITELAT"], header["SITELONG"]) == (32.9, -79.8)
    exact = fits.getheader(write_stack(made, tmp_path / "e.fits", exact_site=True))
    assert (exact["SITELAT"], exact["SITELONG"]) == (32.8965, -79.7625)


def test_every_image_carries_the_wcs(file: Path, made: StackProduct) -> None:
    assert made.solution is not None
    with fits.open(file) as hdus, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("RED", "GREEN", "BLUE", "FOOTPRINT"):
            wcs = WCS(hdus[name].header)
            ra, dec = wcs.all_pix2world(10.0, 20.0, 0)
            expected = made.solution.pixel_to_sky(10.0, 20.0)
            assert (float(ra), float(dec)) == pytest.approx(expected, abs=1e-9)
            assert hdus[name].header["CD1_1"] == CD[0, 0]


def test_the_star_table_survives(file: Path, made: StackProduct) -> None:
    with fits.open(file) as hdus:
        table = hdus["STAR-TAB"].data
        assert table.names[:13] == [
            "x", "y", "flux", "a", "b", "theta", "flag", "peak", "ra", "dec", "gaia_id",
            "gaia_gmag", "match_dist_arcsec",
        ]  # fmt: skip
        assert len(table) == len(made.stars) > 10
        assert made.stars.dtype.names is not None
        for name in made.stars.dtype.names:
            assert np.array_equal(table[name], made.stars[name], equal_nan=name != "gaia_id")
        assert hdus["STAR-TAB"].columns["ra"].unit == "deg"
        assert table["gaia_id"].dtype.kind == "i"


def test_the_same_stack_gives_the_same_bytes(
    made: StackProduct, file: Path, tmp_path: Path
) -> None:
    again = write_stack(made, tmp_path / "b.fits", processed_utc=NOW)
    assert again.read_bytes() == file.read_bytes()
    later = write_stack(made, tmp_path / "c.fits", processed_utc=NOW.replace(year=2027))
    a, b = file.read_bytes(), later.read_bytes()
    with fits.open(file) as hdus:
        first = hdus[1].fileinfo()["hdrLoc"]
    assert a[first:] == b[first:]
    cards = [
        (a[i : i + 8], b[i : i + 8]) for i in range(0, first, 80) if a[i : i + 80] != b[i : i + 80]
    ]
    assert {key for pair in cards for key in pair} == {b"PROCDATE", b"CHECKSUM"}


def test_an_unsolved_stack_says_so(tmp_path: Path) -> None:
    path = write_stack(product(solved=False), tmp_path / "u.fits")
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        assert hdus[0].header["PLTSOLVD"] is False
        assert "RA" not in hdus[0].header
        assert "CRVAL1" not in hdus["GREEN"].header
        assert np.isnan(hdus["STAR-TAB"].data["ra"]).all()


def test_hostile_and_missing_facts_still_make_a_valid_file(tmp_path: Path) -> None:
    strange = product(
        target="Ω\n'quoted'" + "x" * 200, gain=float("nan"), site_lat_deg=float("nan"), filter=""
    )
    path = write_stack(strange, tmp_path / "s.fits")
    with fits.open(path, checksum=True) as hdus:
        hdus.verify("exception")
        assert "GAIN" not in hdus[0].header
        assert "SITELAT" not in hdus[0].header
        assert "'quoted'" in hdus[0].header["OBJECT"]
        assert hdus[0].header["OBJECT"].isascii()


def test_a_failure_half_way_leaves_no_file(
    made: StackProduct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*anything: object) -> None:
        assert len(list(tmp_path.iterdir())) == 1  # the file aside, images in it already
        raise KeyboardInterrupt

    monkeypatch.setattr("crowdsky.stacking.write.table_hdu", failing)
    with pytest.raises(KeyboardInterrupt):
        write_stack(made, tmp_path / "half.fits")
    assert list(tmp_path.iterdir()) == []


def test_distortion_is_written_as_astropy_reads_it(made: StackProduct, tmp_path: Path) -> None:
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], a[1, 1], b[0, 2] = 2e-6, -1.5e-6, 3.3e-6
    assert made.solution is not None
    bent = replace(made.solution, sip=Sip(a, b, -a, -b))
    path = write_stack(replace(made, solution=bent), tmp_path / "sip.fits")
    header = fits.getheader(path, "GREEN")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ra, dec = WCS(header).all_pix2world(10.0, 20.0, 0)
    assert (float(ra), float(dec)) == pytest.approx(bent.pixel_to_sky(10.0, 20.0), abs=1e-9)
    flat = made.solution.pixel_to_sky(10.0, 20.0)
    assert abs(float(dec) - flat[1]) > 1e-6
    assert header["AP_2_0"] == -2e-6


@pytest.mark.parametrize(
    "value",
    [True, 0, -12345678901, 1.0, -0.0006597738579351, 1.4942872706190505e-05, 1e300, "", "it's",
     "x" * 90, "'" * 50],
)  # fmt: skip
def test_cards_are_read_back_by_astropy(value: object) -> None:
    image = card_image("KEYWORD", value, "a comment with an é in it, quite long, so that it is cut")
    assert len(image) == 80
    card = fits.Card.fromstring(image)
    card.verify("exception")
    if isinstance(value, str):
        assert value.startswith(card.value)
        assert len(card.value) == len(value) or len(card.value) >= 33
    else:
        assert card.value == value
        assert type(card.value) is type(value)


def test_checksums_agree_with_astropys() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 4, 2880, 5761):
        data = rng.integers(0, 256, size, dtype=np.uint8)
        hdu = fits.ImageHDU(data)
        padded = np.concatenate([data, np.zeros(-size % 4, np.uint8)])
        assert ones_complement_sum(data) == ones_complement_sum(padded)
        assert ones_complement_sum(data) == hdu._compute_checksum(padded)
        total = ones_complement_sum(data)
        assert encoded_checksum(total) == hdu._char_encode(~np.uint32(total))


def test_an_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with written_aside(path) as stream:
            stream.write(b"new and unfinished")
            visible = [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")]
            assert visible == ["x.bin"]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert path.read_bytes() == b"old"
    with written_aside(path) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there_is_named(made: StackProduct, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"nowhere.*could not be written"):
        write_stack(made, tmp_path / "nowhere" / "a.fits")
