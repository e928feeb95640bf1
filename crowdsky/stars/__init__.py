"""Background, detection, centroids and shapes: from an image to a star list."""

from crowdsky.stars.detect import DetectionSettings, detect_stars, detect_stars_image
from crowdsky.stars.seeing import FrameQuality, grade_frame
from crowdsky.stars.star_list import StarList

__all__ = [
    "DetectionSettings",
    "FrameQuality",
    "StarList",
    "detect_stars",
    "detect_stars_image",
    "grade_frame",
]
