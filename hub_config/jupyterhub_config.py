"""Where JupyterHub begins to read: ``python -m jupyterhub -f hub_config/jupyterhub_config.py``.

`crowdsky up` names its file of facts in ``CROWDSKY_HUB_FILE``; without that, the one that it wrote
last is used. What an operator wants otherwise goes into ``extra_config.py`` beside that file: it is
read last, and knows the same ``c``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

# This folder is no part of the package: it may lie in a checkout or in <prefix>/share/crowdsky.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crowdsky.settings import load_server_settings
from crowdsky.supervise.hub_file import hub_file_path, read_hub_file
from hub_config import base, login, look, roles, services, spawner

named = os.environ.pop("CROWDSKY_HUB_FILE", "")
facts = read_hub_file(Path(named) if named else hub_file_path(load_server_settings().home))

c = get_config()  # type: ignore[name-defined]  # noqa: F821
base.configure(c, facts)
login.configure(c, facts)
services.configure(c, facts)
roles.configure(c, facts)
notice = spawner.configure(c, facts)
look.configure(c, facts, notice=notice)

if (Path(facts.home) / "extra_config.py").exists():
    load_subconfig(str(Path(facts.home) / "extra_config.py"))  # type: ignore[name-defined]  # noqa: F821
