"""Pages without a notebook: those that say why there is no page, and those of plain text.

They need no script and no kernel, so they can be shown when something else fails.
"""

from __future__ import annotations

from html import escape

from crowdsky.pages_server.facts import PAGES, Facts

__all__ = ["plain_page"]

_FORM = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="color-scheme" content="dark light">
<meta name="viewport" content="width=device-width, initial-scale=1">{refresh}
<title>{title} - CrowdSky</title>
<link rel="stylesheet" href="{base}static/theme.css">
</head>
<body>
<header class="cs-top">
<a class="cs-brand" href="{base}">CrowdSky</a>
<nav class="cs-nav" aria-label="Main">{links}</nav>
</header>
<main class="cs-page" id="main">
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def plain_page(
    facts: Facts, title: str, paragraphs: tuple[str, ...], *, refresh_s: int = 0, html: str = ""
) -> str:
    """A page of a few sentences, in the site's look.

    Parameters
    ----------
    facts : Facts
    title : str
    paragraphs : tuple of str
        Text, not HTML.
    refresh_s : int
        Seconds after which the browser shall ask again; 0 for never.
    html : str
        What follows the paragraphs, as it is.
    """
    links = [(facts.base, "Home")]
    links += [(f"{facts.base}{name}", told) for name, told in PAGES.items()]
    links.append((f"{facts.hub}user-redirect/lab", "Notebooks"))
    return _FORM.format(
        title=escape(title),
        base=escape(facts.base),
        refresh=f'\n<meta http-equiv="refresh" content="{refresh_s}">' if refresh_s else "",
        links="".join(f'<a href="{escape(path)}">{told}</a>' for path, told in links),
        body="\n".join([*(f"<p>{escape(text)}</p>" for text in paragraphs), html]),
    )
