"""What the Prefect pages show of a batch and of a block.

Both generations of Prefect 3.8's pages draw an image artifact with the address it is given, and the
picture itself can be that address (``data:``). So no link has to carry a key, and the pages ask no
other host. Pictures inside Markdown would not do: the newer pages drop such addresses there.
"""

from __future__ import annotations

import base64
import io

from crowdsky.archive.queue import LeasedJob
from crowdsky.work.outcome import JobOutcome
from flows.names import artifact_key

__all__ = ["BatchProgress", "picture_url", "show_block"]

PICTURE_PX = 200  # the pages also print the address, so it should be short
PICTURE_QUALITY = 55


def picture_url(thumbnail: bytes) -> str:
    """A thumbnail made smaller, as a ``data:`` address."""
    from PIL import Image

    with Image.open(io.BytesIO(thumbnail)) as picture:
        small = picture.convert("RGB")
    small.thumbnail((PICTURE_PX, PICTURE_PX))
    stream = io.BytesIO()
    small.save(stream, format="WEBP", quality=PICTURE_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


async def show_block(lease: LeasedJob, name: str, outcome: JobOutcome, public_url: str) -> None:
    """Make the artifacts of a block's run: facts with a link, and the stack's picture."""
    from prefect.artifacts import acreate_image_artifact, acreate_markdown_artifact

    link = f"[{lease.job_id}]({public_url}/api/v1/jobs/{lease.job_id})"
    await acreate_markdown_artifact(
        _facts(outcome, link), key=artifact_key("job", lease.job_id), description=name
    )
    if outcome.thumbnail:
        await acreate_image_artifact(
            picture_url(outcome.thumbnail),
            key=artifact_key("stack", lease.job_id),
            description=name,
        )


def _facts(outcome: JobOutcome, link: str) -> str:
    rows = [("state", outcome.state), ("reason", outcome.reason)]
    report = outcome.report
    if report is not None:
        fwhm = report.quality["fwhm_px"][1]
        rows += [
            ("frames used", f"{outcome.n_used} of {outcome.n_frames}"),
            ("exposure", f"{report.quality['exposure_total_s']:g} s, {report.filter}"),
            ("stars", str(report.quality["n_stars"])),
            ("FWHM, green", f"{fwhm:.2f} px"),
            ("stacked in", f"{report.seconds:.1f} s"),
        ]
        if report.solution:
            ra_deg, dec_deg = report.solution["ra_deg"], report.solution["dec_deg"]
            rows.append(("centre", f"{ra_deg:.4f} {dec_deg:+.4f}"))
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows if value]
    return "\n".join([f"| job | {link} |", "|---|---|", *lines])


def _cell(text: str) -> str:
    """Text as text: what a header said must not become a part of the page."""
    safe = "".join(c if c.isalnum() or c in " .,:;+-()%/=_" else f"&#{ord(c)};" for c in text)
    return " ".join(safe.split())


class BatchProgress:
    """The bar of a batch; told at most once in `REST_S`."""

    REST_S = 2.0

    def __init__(self, batch_id: int, title: str) -> None:
        self.batch_id, self.title = batch_id, title
        self._artifact_id: object = None
        self._shown = -1.0

    async def show(self, done: int, total: int) -> None:
        """Make the artifact, or move its bar."""
        from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

        percent = round(100.0 * done / total, 1) if total else 0.0
        if percent == self._shown:
            return
        self._shown = percent
        if self._artifact_id is None:
            self._artifact_id = await acreate_progress_artifact(
                percent,
                key=artifact_key("batch", self.batch_id),
                description=self.title,
            )
        else:
            await aupdate_progress_artifact(self._artifact_id, percent)  # type: ignore[arg-type]
