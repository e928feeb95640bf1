"""Triangles of known size: one engine that lays stars on the sky and stars on stars."""

from crowdsky.triangles.index import TriangleIndex
from crowdsky.triangles.register import Registration, register_stars
from crowdsky.triangles.similarity import apply_map, fit_affine, fit_similarity

__all__ = [
    "Registration",
    "TriangleIndex",
    "apply_map",
    "fit_affine",
    "fit_similarity",
    "register_stars",
]
