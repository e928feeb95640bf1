"""Stacking: registered frames in, one solved image with its photometry out."""

from __future__ import annotations

from crowdsky.stacking.options import StackSettings
from crowdsky.stacking.photometry import measure_stars
from crowdsky.stacking.preview import write_previews
from crowdsky.stacking.product import StackFacts, StackProduct, StackQuality
from crowdsky.stacking.running import FrameFigures, FrameInput, StackedImage, stack_frames
from crowdsky.stacking.scale import FluxScale, common_scales, flux_scale, point_source_weights
from crowdsky.stacking.write import write_stack

__all__ = [
    "FluxScale",
    "FrameFigures",
    "FrameInput",
    "StackFacts",
    "StackProduct",
    "StackQuality",
    "StackSettings",
    "StackedImage",
    "common_scales",
    "flux_scale",
    "measure_stars",
    "point_source_weights",
    "stack_frames",
    "write_previews",
    "write_stack",
]
