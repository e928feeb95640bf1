"""The devices of an observer."""

from __future__ import annotations

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from crowdsky.archive.models import Telescope
from crowdsky.archive.upsert import insert_if_new
from crowdsky.frames.frame_header import FrameHeader
from crowdsky.frames.names import safe_target

__all__ = ["ensure_telescope", "pseudonym"]


def ensure_telescope(session: Session, observer_id: int, header: FrameHeader) -> int:
    """Key of the telescope that took a frame; its row is made with the first one.

    Parameters
    ----------
    session : Session
        Of a writing transaction.
    observer_id : int
    header : FrameHeader

    Returns
    -------
    int
    """
    device = header.telescope_id[:80]
    wanted = select(Telescope.id).where(
        Telescope.observer_id == observer_id, Telescope.device == device
    )
    found = session.scalar(wanted)
    if found is not None:
        return found
    model = header.telescope.name[:40]
    made = insert_if_new(
        session,
        Telescope,
        ("observer_id", "device"),
        {
            "observer_id": observer_id,
            "device": device,
            "model": model,
            "pseudonym": pseudonym(device, model),
        },
    )
    return made if made is not None else session.scalars(wanted).one()


def pseudonym(device: str, model: str) -> str:
    """What a device is called where others see it: its serial number names somebody's property.

    Four digits of a hash keep two telescopes of one model apart and lead back to no serial; labels
    of blocks use the same ones.

    Examples
    --------
    >>> pseudonym("S50", "S50"), pseudonym("S30 Pro_0123abcd", "S30 Pro")
    ('S50', 'S30_Pro-46fd')
    """
    name = safe_target(model, 30)
    if device == model:
        return name
    return f"{name}-{hashlib.blake2b(device.encode(), digest_size=2).hexdigest()}"
