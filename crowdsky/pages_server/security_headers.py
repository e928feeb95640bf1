"""What browsers are told to refuse, with every answer.

Everything that a page needs comes from this site, so the policy names no other host. Widgets of
anywidget are modules that the browser imports from ``blob:`` addresses; scripts in the page itself
run only if they carry this answer's nonce, which the template's do. So a script in the name of a
stack, or in what a kernel printed, is dead text.
"""

from __future__ import annotations

import re
import secrets

from tornado.httputil import HTTPServerRequest

__all__ = ["make_nonce", "page_policy", "plain_policy", "standing_headers"]


def standing_headers() -> dict[str, str]:
    """Headers of every answer, whatever it holds."""
    return {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "SAMEORIGIN",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
        "Server": "CrowdSky",
    }


def make_nonce() -> str:
    """A word that this answer's own scripts carry."""
    return secrets.token_urlsafe(16)


def page_policy(request: HTTPServerRequest, nonce: str) -> str:
    """The policy of a page with widgets."""
    host = request.host if re.fullmatch(r"[\w.:\[\]-]+", request.host or "") else ""
    # Not every browser counts a websocket of this site as 'self'.
    sockets = f" ws://{host} wss://{host}" if host else ""
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' blob: 'wasm-unsafe-eval' 'nonce-{nonce}'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self' blob: data:{sockets}",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
        ]
    )


def plain_policy() -> str:
    """The policy of an answer that runs nothing."""
    return "; ".join(
        [
            "default-src 'none'",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
        ]
    )
