"""The agent's parts under Node, and its rules beside those of the package."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from crowdsky.errors import FrameError
from crowdsky.frames.find import reason_to_skip
from crowdsky.frames.group import group_blocks
from crowdsky.frames.header import read_frame_header
from tests.agent.conftest import AGENT, find_node
from tests.frames.fits_files import long_card, sub_bytes
from tests.real_data import ROOT

JS = Path(__file__).parent / "js"

NAMES = [
    "MyWorks/M 94_sub/Light_M 94_10.0s_IRCUT_20250327-012032.fit",
    "MyWorks/M 94_sub/Light_M 94_10.0s_IRCUT_20250327-012032.jpg",
    "MyWorks/M 94_sub/Light_M 94_10.0s_IRCUT_20250327-012032_thn.jpg",
    "MyWorks/M 94_sub/x_thn.fit",
    "MyWorks/Lunar_sub/Light_1.fit",
    "MyWorks/Solar/2025.fit",
    "MyWorks/Solaris/2025.fit",
    "MyWorks/x/Lunar_2025.fit",
    "MyWorks/moon_video/1.fit",
    "MyWorks/x/1_video.fit",
    "MyWorks/x/1.MP4",
    "MyWorks/x/1.avi",
    "MyWorks/x/._1.fit",
    "MyWorks/.hidden/1.fit",
    "MyWorks/x/1.fit.fz",
    "MyWorks/x/notes.txt",
    "MyWorks/x/1.FITS",
    "MyWorks/x/1.fts",
    "MyWorks/x/noending",
    "Lunar_2025.fit",
    "Lunar_chosen/1.fit",
    "1.fit",
]


def run_node(script: str, *arguments: str) -> str:
    node = find_node()
    if node is None or not (ROOT / "node_modules" / "fake-indexeddb").is_dir():
        pytest.skip("no Node with the agent's libraries here (make setup)")
    done = subprocess.run(
        [node, "--input-type=module", "-e", script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=JS,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_parts_of_the_agent() -> None:
    node = find_node()
    if node is None or not (ROOT / "node_modules" / "fake-indexeddb").is_dir():
        pytest.skip("no Node with the agent's libraries here (make setup)")
    scripts = sorted(str(path) for path in JS.glob("*.test.mjs"))
    assert len(scripts) == 3
    done = subprocess.run(
        [node, "--test", *scripts],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_names_are_set_aside_by_the_rules_of_the_package() -> None:
    script = f"""
        import {{ reasonToSkip }} from '{AGENT.as_posix()}/scan/skip.js'
        console.log(JSON.stringify(JSON.parse(process.argv[1]).map(reasonToSkip)))
    """
    told = json.loads(run_node(script, json.dumps(NAMES)))
    parts = [tuple(name.split("/")) for name in NAMES]
    # The folder that was chosen may bear any name.
    expected = [reason_to_skip(part[1:] if len(part) > 1 else part) for part in parts]
    assert dict(zip(NAMES, told, strict=True)) == dict(zip(NAMES, expected, strict=True))
    assert sum(reason == "" for reason in told) == 6


def odd_files() -> dict[str, bytes]:
    """Files as strange as they come, sound ones among them."""
    whole = sub_bytes()
    long = "".join(["x" * 60, " "] * 6)
    return {
        "sound": whole,
        "text behind": whole + b"\0" * 2880,
        "without padding": whole[: 2880 + 32 * 48 * 2],
        "one byte short": whole[: 2880 + 32 * 48 * 2 - 1],
        "half": whole[: len(whole) // 2],
        "empty": b"",
        "JPEG": b"\xff\xd8\xff\xe0" + b"x" * 3000,
        "HTML": b"<!doctype html>" + b" " * 3000,
        "random": bytes(range(256)) * 30,
        "no END": sub_bytes(end=b""),
        "END in column 2": sub_bytes(end=b" END".ljust(80)),
        "END with text": sub_bytes(end=b"END x".ljust(80)),
        "non-ASCII": sub_bytes(OBJECT="caf\xe9"),
        "quotes": sub_bytes(OBJECT="Barnard's 'star'"),
        "continue": sub_bytes(long_card("OBJECT", long), OBJECT=None),
        "odd name": sub_bytes(OBJECT="'; DROP TABLE"),
        "huge axis": sub_bytes(NAXIS1=2**31 - 1),
        "many axes": sub_bytes(NAXIS=999),
        "negative axis": sub_bytes(NAXIS2=-48),
        "BITPIX": sub_bytes(BITPIX=17),
        "no time": sub_bytes(DATE_OBS=None),
        "date only": sub_bytes(DATE_OBS="2025-03-27"),
        "no such day": sub_bytes(DATE_OBS="2025-02-30T01:00:00"),
        "1858": sub_bytes(DATE_OBS="1858-11-17T00:00:00"),
        "2099": sub_bytes(DATE_OBS="2099-11-17T00:00:00"),
        "24 h": sub_bytes(DATE_OBS="2025-03-27T24:00:00"),
        "leap second": sub_bytes(DATE_OBS="2025-06-30T23:59:60.25"),
        "zone": sub_bytes(DATE_OBS="2025-03-27T03:20:32+02:00"),
        "Z": sub_bytes(DATE_OBS="2025-03-27T01:20:32Z"),
        "no exposure": sub_bytes(EXPTIME=None, EXPOSURE=None),
        "EXPOSURE only": sub_bytes(EXPTIME=None),
        "zero exposure": sub_bytes(EXPTIME=0.0),
        "long exposure": sub_bytes(EXPTIME=1e9),
        "D exponent": sub_bytes(EXPTIME=b"1.0D1".rjust(20)),
        "no pointing": sub_bytes(RA=None, DEC=None),
        "sexagesimal": sub_bytes(RA="12:50:53", DEC="+41:07:14"),
        "RA text": sub_bytes(RA="193.1"),
        "dark": sub_bytes(IMAGETYP="Dark"),
        "no GAIN": sub_bytes(GAIN=None),
        "NAXIS 0": sub_bytes(NAXIS=0),
        "comments": sub_bytes(*[b"COMMENT x".ljust(80)] * 300),
        "too many cards": sub_bytes(*[b"COMMENT x".ljust(80)] * 2100),
    }


def test_what_is_refused_in_the_browser_the_service_would_refuse(tmp_path: Path) -> None:
    files = odd_files()
    for number, content in enumerate(files.values()):
        (tmp_path / f"{number}.fit").write_bytes(content)
    script = f"""
        import {{ openAsBlob }} from 'node:fs'
        import {{ inspectFrame }} from '{AGENT.as_posix()}/scan/check.js'
        const told = []
        for (let number = 0; number < {len(files)}; number++) {{
          const file = await openAsBlob(`${{process.argv[1]}}/${{number}}.fit`)
          try {{
            const {{ target, dateObs, exposureS, filter }} = await inspectFrame(file)
            told.push({{ target, dateObs, exposureS, filter }})
          }} catch (error) {{
            told.push({{ refused: error.message }})
          }}
        }}
        console.log(JSON.stringify(told))
    """
    told = json.loads(run_node(script, str(tmp_path)))
    refused = {}
    for number, (name, verdict) in enumerate(zip(files, told, strict=True)):
        try:
            header = read_frame_header(tmp_path / f"{number}.fit")
        except FrameError as error:
            refused[name] = str(error)
            continue
        start = header.start_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        assert verdict == {
            "target": header.target,
            "dateObs": start,
            "exposureS": header.exposure_s,
            "filter": header.filter,
        }, name
    refused_here = [name for name, told_ in zip(files, told, strict=True) if "refused" in told_]
    assert refused_here == list(refused)
    assert len(refused) == 25


def test_blocks_are_those_that_the_service_will_make(tmp_path: Path) -> None:
    files: list[dict[str, object]] = []
    for night in range(2):
        for number in range(120):
            minute, second = divmod(30 * number, 60)
            files.append(
                {
                    "DATE_OBS": f"2025-03-{27 + night}T00:{minute:02d}:{second:02d}",
                    "FILTER": "LP" if number % 40 == 0 else "IRCUT",
                    "EXPTIME": 20.0 if number % 30 == 7 else 10.0,
                    "RA": 193.0 + 0.02 * (number % 3) + (2.0 if number > 90 else 0.0),
                    "GAIN": 80 if number % 50 else 120,
                    "TELESCOP": "S50_a" if number % 2 else "S50_b",
                }
            )
    paths = []
    for number, cards in enumerate(files):
        path = tmp_path / f"{number}.fit"
        path.write_bytes(sub_bytes(long_card("NOTE", str(number)), **cards))
        paths.append(path)
    grouping = group_blocks(read_frame_header(path) for path in paths)
    expected = sorted(
        sorted(int(header.path.stem) for header in block.headers) for block in grouping.blocks
    )
    script = f"""
        import {{ openAsBlob }} from 'node:fs'
        import {{ inspectFrame }} from '{AGENT.as_posix()}/scan/check.js'
        import {{ groupBlocks }} from '{AGENT.as_posix()}/scan/blocks.js'
        const rows = []
        for (let id = 0; id < {len(files)}; id++) {{
          const file = await openAsBlob(`${{process.argv[1]}}/${{id}}.fit`)
          rows.push({{ id, ...await inspectFrame(file) }})
        }}
        const blocks = new Map()
        for (const [id, label] of groupBlocks(rows)) {{
          blocks.set(label, [...blocks.get(label) ?? [], id])
        }}
        console.log(JSON.stringify([...blocks.values()]))
    """
    told = json.loads(run_node(script, str(tmp_path)))
    assert sorted(sorted(block) for block in told) == expected
    assert len(expected) > 20
