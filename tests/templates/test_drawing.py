"""What the template writes, without a kernel and without a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.templates.served import draw

TOLD = {
    "user": "",
    "page": "status",
    "title": "Status",
    "base": "/services/pages/",
    "api": "/services/crowdsky/api/v1",
    "hub": "/hub/",
    "static": "/services/pages/static/v0123456789ab/",
    "version": "1.0",
    "nonce": "",
}
WIDGET = {
    "output_type": "display_data",
    "metadata": {},
    "data": {
        "text/plain": "C()",
        "application/vnd.jupyter.widget-view+json": {"model_id": "ab</script>", "version_major": 2},
    },
}


def shown(data: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": data}


def test_the_frame(template: Path) -> None:
    html = draw(template, [WIDGET], TOLD)
    navigation = re.search(r'<nav class="cs-nav" aria-label="Main">(.*?)</nav>', html, re.S)
    assert navigation is not None
    links = re.findall(r'<a href="([^"]+)"( aria-current="page")?>(\w+)</a>', navigation[1])
    assert links == [
        ("/services/pages/", "", "Home"),
        ("/services/pages/upload", "", "Upload"),
        ("/services/pages/status", ' aria-current="page"', "Status"),
        ("/services/pages/stacks", "", "Stacks"),
        ("/hub/user-redirect/lab", "", "Notebooks"),
    ]
    assert html.startswith("<!DOCTYPE html>")
    assert html.rstrip().endswith("</html>")
    assert "<title>Status · CrowdSky</title>" in html
    assert 'href="/hub/login?next=/services/pages/status"' in html
    for piece in ("Skip to the page", 'id="main"', "<noscript>", 'role="status" aria-live="off"'):
        assert piece in html


def test_colours_are_in_the_page_itself(template: Path) -> None:
    """The first paint waits for no second request."""
    html = draw(template, [WIDGET], TOLD)
    assert "<link rel=stylesheet" not in html
    assert 'rel="stylesheet"' not in html
    assert re.search(r"--cs-bg: ?#0b0f1b", html.split("</style>")[0])
    # Everything above the kernel's first word is the whole frame but for the footer.
    assert html.index("</header>") < html.index('id="cs-waiting"') < html.index("crowdsky-kernel")


def test_a_page_with_widgets_loads_their_bundle_and_names_its_kernel(template: Path) -> None:
    html = draw(template, [WIDGET], TOLD)
    kernel = re.search(r'<script id="crowdsky-kernel" type="application/json">(.*?)</script>', html)
    assert kernel is not None
    assert json.loads(kernel[1]) == {"id": "0c3f4f3e-kernel", "server": "/services/pages/"}
    scripts = re.findall(r'<script type="module" data-cs src="([^"]+)"', html)
    assert [re.sub(r"-\w{8}\.js$", "", one) for one in scripts] == [
        "/services/pages/static/v0123456789ab/shell",
        "/services/pages/static/v0123456789ab/widgets",
    ]
    assert "ab</script>" not in html
    config = re.search(r'<script id="crowdsky-config" type="application/json">(.*?)</script>', html)
    assert config is not None
    assert json.loads(config[1])["api"] == "/services/crowdsky/api/v1"


def test_a_page_of_html_alone_has_no_kernel_and_no_widgets(template: Path) -> None:
    told = TOLD | {"page": "splash", "title": "CrowdSky"}
    html = draw(template, [shown({"text/html": "<h1>Your night</h1>"})], told)
    assert "<h1>Your night</h1>" in html
    assert "<title>CrowdSky</title>" in html
    for absent in ("crowdsky-kernel", "0c3f4f3e", "/widgets-", 'id="cs-waiting'):
        assert absent not in html
    assert 'id="cs-outputs">' in html


def test_nobody_is_named_unless_the_server_says_who(template: Path) -> None:
    assert 'data-cs-user=""' in draw(template, [WIDGET], TOLD)
    named = draw(template, [WIDGET], TOLD | {"user": 'a"<b>'})
    assert 'data-cs-user="a&#34;&lt;b&gt;"' in named
    assert "<b>" not in named


def test_every_script_in_the_page_carries_the_nonce(template: Path) -> None:
    html = draw(template, [WIDGET], TOLD | {"nonce": "n0nce"})
    inline = re.findall(r"<script(?![^>]*\b(?:src|application/)\b)([^>]*)>", html)
    assert inline == [' nonce="n0nce"'] * 2
    # A policy without 'unsafe-inline' would drop them.
    assert not re.search(r"<[^>]+\son\w+=", html)


@pytest.mark.parametrize(
    "outputs",
    [
        [{"output_type": "error", "ename": "KeyError", "evalue": "<b>", "traceback": ["x"]}],
        [{"output_type": "stream", "name": "stderr",
          "text": "There was an error when executing cell [1]. Please run Voilà with ..."}],
        [],
    ],
    ids=["error", "error that Voila hides", "nothing"],
)  # fmt: skip
def test_a_page_that_failed_says_so_and_is_never_blank(
    template: Path, outputs: list[dict[str, Any]]
) -> None:
    html = draw(template, outputs, TOLD)
    assert "This page could not be made" in html
    assert re.search(r"<button[^>]*data-cs-reload>Reload</button>", html)
    assert "<b>" not in html


def test_warnings_are_not_shown_to_visitors(template: Path) -> None:
    noise = {"output_type": "stream", "name": "stderr", "text": "DeprecationWarning: old"}
    html = draw(template, [noise, WIDGET], TOLD)
    assert "DeprecationWarning" not in html
    assert "could not be made" not in html


def test_a_wrong_template_is_an_error_and_no_empty_page(tmp_path: Path) -> None:
    from jinja2 import TemplateNotFound

    with pytest.raises(TemplateNotFound, match=r"index\.html\.j2"):
        draw(tmp_path / "nowhere", [WIDGET], TOLD)


def test_a_front_end_that_was_not_built_is_an_error(template: Path, tmp_path: Path) -> None:
    import shutil

    from jinja2 import TemplateNotFound

    unbuilt = tmp_path / "crowdsky"
    shutil.copytree(template, unbuilt, ignore=shutil.ignore_patterns("static"))
    with pytest.raises(TemplateNotFound, match="assets"):
        draw(unbuilt, [WIDGET], TOLD)


def test_defaults_without_the_pages_server(template: Path) -> None:
    html = draw(template, [WIDGET], None)
    assert 'src="/services/pages/voila/templates/crowdsky/static/shell-' in html
    assert "<title>Status · CrowdSky</title>" in html
