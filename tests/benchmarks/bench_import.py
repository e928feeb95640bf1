"""How much `import crowdsky` adds to numpy and astropy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from statistics import median

from tests.benchmarks.figure import Figure

FACE = "import crowdsky; [getattr(crowdsky, name) for name in crowdsky.__all__]"
CASES = {
    "import crowdsky beyond numpy and astropy": ("import crowdsky", 0.3),
    "the same with every public name loaded": (FACE, None),
}


def figures(quick: bool) -> Iterator[Figure]:
    """Seconds of CPU, each the median of fresh interpreters."""
    repeats = 3 if quick else 9
    floor = _cpu_s("import numpy, astropy", repeats)
    for what, (code, bar) in CASES.items():
        extra = _cpu_s(f"import numpy, astropy\n{code}", repeats) - floor
        yield Figure(what, extra, "s", bar, beside=f"numpy and astropy themselves {floor:.2f} s")


def _cpu_s(code: str, repeats: int) -> float:
    told = f"{code}\nimport time; print(time.process_time())"
    return median(
        float(subprocess.run([sys.executable, "-c", told], capture_output=True, check=True).stdout)
        for _ in range(repeats)
    )
