"""Frames: from files of unknown origin to headers, pixels and 15-minute blocks."""

from __future__ import annotations

from crowdsky.frames.block import Block, Grouping
from crowdsky.frames.cards import HeaderCards, read_cards
from crowdsky.frames.debayer import bilinear, superpixel
from crowdsky.frames.door import DoorReport, check_door
from crowdsky.frames.find import FoundFrames, Skipped, find_frames
from crowdsky.frames.frame_header import FrameHeader, MountMode
from crowdsky.frames.group import group_blocks
from crowdsky.frames.header import read_frame_header
from crowdsky.frames.limits import DoorLimits
from crowdsky.frames.names import healpix_name, safe_target, tenth_degree_name
from crowdsky.frames.pointing import Pointing
from crowdsky.frames.privacy import rounded_site
from crowdsky.frames.read import RawFrame, read_frame, read_rgb
from crowdsky.frames.telescopes import (
    TELESCOPES,
    UNKNOWN_TELESCOPE,
    TelescopeModel,
    identify_telescope,
)

__all__ = [
    "TELESCOPES",
    "UNKNOWN_TELESCOPE",
    "Block",
    "DoorLimits",
    "DoorReport",
    "FoundFrames",
    "FrameHeader",
    "Grouping",
    "HeaderCards",
    "MountMode",
    "Pointing",
    "RawFrame",
    "Skipped",
    "TelescopeModel",
    "bilinear",
    "check_door",
    "find_frames",
    "group_blocks",
    "healpix_name",
    "identify_telescope",
    "read_cards",
    "read_frame",
    "read_frame_header",
    "read_rgb",
    "rounded_site",
    "safe_target",
    "superpixel",
    "tenth_degree_name",
]
