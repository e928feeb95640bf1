"""Moments of the pixels of one colour, from which a Gaussian is fitted; the innermost loops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crowdsky.kernels import njit

__all__ = ["FIRST", "N_MOMENTS", "POWER", "PRODUCTS", "moments_of"]

#: Moments of one colour: 6 of the residual times G, 15 of G squared.
N_MOMENTS = 21
#: Which of them is the sum of G squared; from the next on, with u, v, uu, vv, uv.
POWER = 6
FIRST = 7
# Where the moment of G squared with u^p v^q is kept.
_UU, _VV, _UV = range(9, 12)
_UUU, _UUV, _UVV, _VVV, _UUUU, _UUUV, _UUVV, _UVVV, _VVVV = range(12, 21)
#: Where the moment of the product of each pair of the monomials u, v, uu, vv, uv is kept.
PRODUCTS = np.array(
    [
        [_UU, _UV, _UUU, _UVV, _UUV],
        [_UV, _VV, _UUV, _VVV, _UVV],
        [_UUU, _UUV, _UUUU, _UUVV, _UUUV],
        [_UVV, _VVV, _UUVV, _VVVV, _UVVV],
        [_UUV, _UVV, _UUUV, _UVVV, _UUVV],
    ]
)
_VECTORS = {"contract", "reassoc", "nsz", "arcp"}


@njit(fastmath=_VECTORS)
def moments_of(
    data: NDArray[np.float32],
    dx: NDArray[np.float32],
    dy: NDArray[np.float32],
    x0: np.float32,
    y0: np.float32,
    a: np.float32,
    b: np.float32,
    h: np.float32,
    height: np.float32,
    gauss: NDArray[np.float32],
    out: NDArray[np.float64],
    with_shape: bool,
) -> None:
    """Write the moments of the pixels of one colour; ``gauss`` is room to work in."""
    # Indices from zero over slices and short loops: so that the compiler uses vectors.
    n = len(data)
    scale = np.float32(-0.5 / 256.0)
    one = np.float32(1.0)
    zero = np.float32(0.0)
    both = np.float32(2.0) * h
    for k in range(n):
        u = dx[k] - x0
        v = dy[k] - y0
        # exp(q) as (1 + q / 256)^256: eight squarings, good to 2 % where it counts.
        g = one + scale * (a * u * u + b * v * v + both * u * v)
        g = g if g > zero else zero
        g *= g
        g *= g
        g *= g
        g *= g
        g *= g
        g *= g
        g *= g
        g *= g
        gauss[k] = g
    r0 = ru = rv = ruu = rvv = ruv = np.float32(0.0)
    g0 = gu = gv = guu = gvv = guv = np.float32(0.0)
    for k in range(n):
        u = dx[k] - x0
        v = dy[k] - y0
        g = gauss[k]
        r = (data[k] - height * g) * g
        r0 += r
        ru += r * u
        rv += r * v
        ruu += r * u * u
        rvv += r * v * v
        ruv += r * u * v
        gg = g * g
        g0 += gg
        gu += gg * u
        gv += gg * v
        guu += gg * u * u
        gvv += gg * v * v
        guv += gg * u * v
    out[0] = r0
    out[1] = ru
    out[2] = rv
    out[3] = ruu
    out[4] = rvv
    out[5] = ruv
    out[6] = g0
    out[7] = gu
    out[8] = gv
    out[9] = guu
    out[10] = gvv
    out[11] = guv
    if not with_shape:
        return
    m0 = m1 = m2 = m3 = m4 = m5 = m6 = m7 = m8 = np.float32(0.0)
    for k in range(n):
        u = dx[k] - x0
        v = dy[k] - y0
        g = gauss[k] * gauss[k]
        uu = u * u
        vv = v * v
        gu = g * u
        gv = g * v
        m0 += gu * uu
        m1 += gv * uu
        m2 += gu * vv
        m3 += gv * vv
        m4 += g * uu * uu
        m5 += gv * u * uu
        m6 += g * uu * vv
        m7 += gu * v * vv
        m8 += g * vv * vv
    out[12] = m0
    out[13] = m1
    out[14] = m2
    out[15] = m3
    out[16] = m4
    out[17] = m5
    out[18] = m6
    out[19] = m7
    out[20] = m8
