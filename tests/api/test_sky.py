"""Density of stacks on the sky."""

from __future__ import annotations

import pytest

from crowdsky.archive.positions import cells
from tests.api.conftest import Running
from tests.api.product_rows import make_stack

pytestmark = [pytest.mark.enable_socket]


def test_counts_by_cell(service: Running) -> None:
    here = service.context
    for _ in range(2):
        make_stack(here, "ann", ra_deg=10.0, dec_deg=20.0)
    make_stack(here, "bob", ra_deg=200.0, dec_deg=-60.0, public_utc=None)
    make_stack(here, "bob", ra_deg=None, solved=False)
    one, two = int(cells(10.0, 20.0, 4)), int(cells(200.0, -60.0, 4))
    seen = {one: 2} | {two: 1}
    bob = service.client_for("bob").get("/api/v1/sky/density?order=4").json()
    assert bob == {"order": 4, "cells": sorted(seen), "counts": [seen[c] for c in sorted(seen)]}
    for client in (service.client_for("ann"), service.client()):
        answer = client.get("/api/v1/sky/density?order=4").json()
        assert answer == {"order": 4, "cells": [one], "counts": [2]}
    near = service.client().get("/api/v1/sky/density?order=4&ra=10&dec=21&radius=0.5").json()
    assert near["cells"] == []
    assert service.client().get("/api/v1/sky/density?order=10").status_code == 422
    assert service.client().get("/api/v1/sky/density?scope=mine").status_code == 401
