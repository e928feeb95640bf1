"""Stacks of the real frames: cost and quality, beside Siril in the same run where there is one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

from crowdsky.astrometry import solve_frame
from crowdsky.errors import RegistrationError
from crowdsky.frames import bilinear, read_frame
from crowdsky.stars import detect_stars_image
from crowdsky.triangles import apply_map, register_stars
from tests.benchmarks.figure import Figure
from tests.benchmarks.photometry import Measured, flattened, measure
from tests.real_data import real_data_dir

SESSION = "S50_M94_a"
SIRIL_SCRIPT = """requires 1.0.0
convert light -debayer
register light
stack r_light rej 3 3 -norm=addscale -out=result
"""


@dataclass(frozen=True)
class Cost:
    """What a process used."""

    cpu_s: float
    peak_mb: float


def run(command: list[str], **options: object) -> Cost:
    """Run a command to its end; CPU of it and its children, memory of the largest of them."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    ) as process:  # type: ignore[call-overload]
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def figures(quick: bool) -> Iterator[Figure]:
    """Cost of 32, 90 and 500 frames, and the quality of the stack of 32."""
    session = real_data_dir() / SESSION
    frames = sorted(session.glob("*.fit"))
    if len(frames) < 8:
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        ours, product = _ours(frames, work / "ours")
        siril, result = _siril(frames, work / "siril")
        beside = "" if siril is None else f"Siril in this run {siril.cpu_s:.1f}"
        yield Figure(f"{len(frames)} frames, whole process: CPU", ours.cpu_s, "s", beside=beside)
        if siril is not None:
            yield Figure("the same over Siril's", ours.cpu_s / siril.cpu_s, "", 0.2)
        beside = "" if siril is None else f"Siril in this run {siril.peak_mb:.0f}"
        yield Figure("peak memory", ours.peak_mb, "MB", 400, beside=beside)
        yield from _quality(frames, product, result)
        if quick:
            return
        for count in (90, 500):
            copies = _copies(frames, count, work / f"copies{count}")
            cost, _ = _ours([copies], work / f"ours{count}")
            beside = ""
            if count == 90:
                siril, _ = _siril(sorted(copies.glob("*.fit")), work / "siril90")
                beside = "" if siril is None else f"Siril in this run {siril.cpu_s:.1f}"
            yield Figure(f"{count} frames, whole process: CPU", cost.cpu_s, "s", beside=beside)
            yield Figure(f"{count} frames: peak memory", cost.peak_mb, "MB", 400)
            shutil.rmtree(copies)


def _ours(paths: list[Path], out: Path) -> tuple[Cost, Path]:
    program = str(Path(sys.executable).with_name("crowdsky"))
    command = [program, "stack", "--jobs", "1", "-o", str(out)]
    run([*command, *map(str, paths[:8])])  # warm: every kernel compiled
    shutil.rmtree(out)
    cost = run([*command, *map(str, paths)])
    return cost, next(out.glob("*.fits"))


def _siril(frames: list[Path], work: Path) -> tuple[Cost | None, Path | None]:
    program = shutil.which("siril-cli")
    if program is None:
        return None, None
    work.mkdir()
    for path in frames:
        (work / path.name.replace(" ", "_")).symlink_to(path)
    script = work / "stack.ssf"
    script.write_text(SIRIL_SCRIPT)
    cost = run([program, "-d", str(work), "-s", str(script)], cwd=work)
    result = work / "result.fit"
    return (cost, result) if result.exists() else (None, None)


def _copies(frames: list[Path], count: int, folder: Path) -> Path:
    """Frames again and again, each a little later than the last, all in one quarter hour."""
    folder.mkdir()
    for i in range(count):
        data = bytearray(frames[i % len(frames)].read_bytes())
        at = data.index(b"DATE-OBS= '")
        stamp = f"2025-03-27T01:{15 + i * 14 // count:02d}:{i * 7 % 60:02d}.{i:06d}"
        data[at + 11 : at + 11 + len(stamp)] = stamp.encode()
        (folder / f"Light_{i:04d}.fit").write_bytes(data)
    return folder


def _quality(frames: list[Path], product: Path, siril: Path | None) -> Iterator[Figure]:
    with fits.open(product) as hdus:
        green, wcs = hdus["GREEN"].data, WCS(hdus["GREEN"].header)
    stack = measure(green)
    ra, dec = wcs.pixel_to_world_values(stack.x, stack.y)
    singles, mean = [], np.zeros_like(green, dtype=np.float64)
    for path in frames:
        frame = read_frame(path)
        plane = bilinear(frame.mosaic, frame.header.bayer)[:, :, 1].astype(np.float32)
        solution = solve_frame(path)
        singles.append(measure(plane, solution.sky_to_pixel(ra, dec)))
        mean += _lanczos(plane, solution, wcs)
    n = len(frames)
    ideal = float(np.mean([one.snr for one in singles]) * np.sqrt(n))
    fluxes = np.mean([one.flux for one in singles], axis=0)
    lanczos = measure((mean / n).astype(np.float32), (stack.x, stack.y))
    plain = f"{_scatter(lanczos, fluxes):.2f}"
    theirs = None if siril is None else _siril_measured(siril, green, stack)
    yield Figure(
        "SNR of the 20 brightest over ideal", stack.snr / ideal, "", 0.965, "more",
        _beside(theirs, lambda m: f"{m.snr / ideal:.3f}", f"{lanczos.snr / ideal:.3f}"),
    )  # fmt: skip
    yield Figure(
        "flux scatter of the 10 brightest against the mean of single frames",
        _scatter(stack, fluxes), "%", 0.2,
        beside=_beside(theirs, lambda m: f"{_scatter(m, fluxes):.2f}", plain),
    )  # fmt: skip
    yield Figure(
        "FWHM", stack.fwhm_px, "px", round(lanczos.fwhm_px, 3),
        beside=_beside(theirs, lambda m: f"{m.fwhm_px:.2f}", f"{lanczos.fwhm_px:.2f}"),
    )  # fmt: skip
    yield Figure("stars at 5 sigma", stack.n_detected, "")


def _beside(theirs: Measured | None, text, lanczos: str) -> str:  # type: ignore[no-untyped-def]
    peer = "" if theirs is None else f", Siril {text(theirs)}"
    return f"plain Lanczos4 mean {lanczos}{peer}"


def _scatter(stack: Measured, fluxes: np.ndarray) -> float:
    ratio = stack.flux[:10] / fluxes[:10]
    return float(100 * np.std(ratio / np.median(ratio)))


def _lanczos(plane: np.ndarray, solution, wcs: WCS) -> np.ndarray:  # type: ignore[no-untyped-def]
    """A frame on the stack's grid by OpenCV's Lanczos4, sky taken off: the reference resampling."""
    import cv2

    ny, nx = plane.shape
    corners = np.array([[0.0, 0.0], [nx - 1.0, 0.0], [0.0, ny - 1.0]])
    there = np.stack(
        solution.sky_to_pixel(*wcs.pixel_to_world_values(corners[:, 0], corners[:, 1])), axis=1
    )
    matrix = cv2.getAffineTransform(corners.astype(np.float32), there.astype(np.float32))
    flat, _ = flattened(plane)
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(flat, matrix, (nx, ny), flags=flags)


def _siril_measured(path: Path, green: np.ndarray, stack: Measured) -> Measured | None:
    """Siril's green plane at the same stars; it may be flipped, so it is registered on ours."""
    with fits.open(path) as hdus:
        data = np.asarray(hdus[0].data, dtype=np.float32)
    plane = data[1] if data.ndim == 3 else data
    ours = detect_stars_image(green.astype(np.float32))
    for flipped in (plane, plane[::-1]):
        image = np.ascontiguousarray(flipped) * np.float32(65535.0)
        try:
            found = register_stars(detect_stars_image(image), ours)
        except RegistrationError:
            continue
        places = apply_map(found.matrix, np.stack([stack.x, stack.y], axis=1))
        return measure(image, (places[:, 0], places[:, 1]))
    return None
