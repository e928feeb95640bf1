"""The page that lists what the service can do; made here, with nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

__all__ = ["router"]

_METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
_STYLE = """\
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8888; padding: .5rem 0; }
h3 { margin: .5rem 0; overflow-wrap: anywhere; }
code { font: .9rem/1.4 ui-monospace, monospace; }
p { margin: .3rem 0; white-space: pre-line; }
table { border-collapse: collapse; }
td { padding: 0 1rem 0 0; vertical-align: top; }
"""

router = APIRouter(include_in_schema=False)


@router.get("/")
def start(request: Request) -> RedirectResponse:
    """Where a browser lands that comes without a wish."""
    return RedirectResponse(f"{_root(request)}/api/docs", 302)


@router.get("/api/docs")
def page(request: Request) -> HTMLResponse:
    """Every operation, by what it is about."""
    answer = HTMLResponse(_page(request.app.openapi(), _root(request)))
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@router.get("/api/docs.css")
def style() -> Response:
    """How the page looks."""
    return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})


def _root(request: Request) -> str:
    return str(request.scope.get("root_path", "")).rstrip("/")


def _page(schema: dict[str, Any], root: str) -> str:
    groups: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                operation = methods[method]
                tag = (operation.get("tags") or ["service"])[0]
                groups.setdefault(tag, []).append(_operation(method, path, operation))
    title = escape(schema["info"]["title"])
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{title}</title><link rel="stylesheet" href="{escape(root)}/api/docs.css"></head>',
        f"<body><h1>{title} {escape(schema['info']['version'])}</h1>",
        f"<p>{escape(schema['info'].get('description', ''))}</p>",
        f'<p>For programs: <a href="{escape(root)}/api/openapi.json">openapi.json</a></p>',
    ]
    for tag, operations in groups.items():
        parts += [f"<h2>{escape(tag)}</h2>", *operations]
    return "".join([*parts, "</body></html>"])


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}"
        f"{' (needed)' if p.get('required') else ''}</td>"
        f"<td>{escape(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", [])
    )
    return (
        f"<section><h3><code>{method.upper()} {escape(path)}</code></h3>"
        f"<p>{escape(operation.get('description') or operation.get('summary', ''))}</p>"
        f"{f'<table>{rows}</table>' if rows else ''}</section>"
    )
