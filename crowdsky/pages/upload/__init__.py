"""The Upload page: choose or drop frames, watch them being sent, create stacking jobs."""

from __future__ import annotations

from crowdsky.pages.upload.state import UploadState
from crowdsky.pages.upload.view import UploadQueue, show

__all__ = ["UploadQueue", "UploadState", "show"]
