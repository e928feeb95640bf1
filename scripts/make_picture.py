"""Draw the picture of the README from the stacks of ``make run``: ``make picture``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HEIGHT_PX = 860
CAPTION_PX = 84
GAP_PX = 6


def panel(report: Path) -> Image.Image:
    """A stack's preview with what was found out about it underneath."""
    facts = json.loads(report.read_text(encoding="utf-8"))
    picture = Image.open(report.parent / Path(facts["preview"]).name).convert("RGB")
    width = round(picture.width * HEIGHT_PX / picture.height)
    canvas = Image.new("RGB", (width, HEIGHT_PX + CAPTION_PX), (12, 14, 20))
    canvas.paste(picture.resize((width, HEIGHT_PX), Image.Resampling.LANCZOS), (0, 0))
    solution = facts["solution"]
    lines = (
        f"{facts['target']}   {facts['n_used']} of {facts['n_frames']} frames, simulated",
        f"RA {solution['ra_deg']:.4f}°  Dec {solution['dec_deg']:+.4f}°  ICRS",
        f"{solution['n_matched']} catalogue stars, rms {solution['rms_arcsec']:.2f} arcsec",
    )
    draw = ImageDraw.Draw(canvas)
    for i, line in enumerate(lines):
        font = ImageFont.load_default(17 if i == 0 else 15)
        colour = (240, 240, 245) if i == 0 else (165, 172, 190)
        draw.text((12, HEIGHT_PX + 10 + 24 * i), line, font=font, fill=colour)
    return canvas


def main(stacks: Path, out: Path) -> None:
    """Put the first stack of each target side by side."""
    first: dict[str, Path] = {}
    for report in sorted(stacks.glob("*.json")):
        facts = json.loads(report.read_text(encoding="utf-8"))
        if facts["output"] and facts["solution"]:
            first.setdefault(facts["target"], report)
    panels = [panel(report) for report in first.values()]
    width = sum(one.width for one in panels) + GAP_PX * (len(panels) - 1)
    canvas = Image.new("RGB", (width, panels[0].height), (12, 14, 20))
    left = 0
    for one in panels:
        canvas.paste(one, (left, 0))
        left += one.width + GAP_PX
    out.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(out, quality=88, method=6)
    print(f"{out}: {canvas.width} x {canvas.height}, {out.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
