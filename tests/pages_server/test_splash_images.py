"""Pictures of the splash page: the operator's, made small and bare, and those of the package."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application

from crowdsky.pages.splash.pictures import ART, ART_FOLDER, NAME
from crowdsky.pages_server.images_route import ImageHandler, ImageListHandler
from crowdsky.pages_server.splash_images import SplashImages

pytestmark = [pytest.mark.enable_socket]

GPS = 0x8825


@pytest.fixture
def images(tmp_path: Path) -> SplashImages:
    (tmp_path / "own").mkdir()
    return SplashImages(tmp_path / "own", tmp_path / "cache")


def draw(path: Path, size: tuple[int, int] = (60, 40), **more: Any) -> None:
    Image.new("RGB", size, (20, 30, 60)).save(path, **more)


def test_there_need_be_none(tmp_path: Path) -> None:
    images = SplashImages(tmp_path / "nowhere", tmp_path / "cache")
    assert images.own() == []
    assert images.find("own-moon.webp") is None


def test_large_pictures_are_made_small(images: SplashImages) -> None:
    draw(images.folder / "Über Moon.JPG", (3000, 2000), format="JPEG")
    draw(images.folder / "b.png")
    (images.folder / "credits.txt").write_text(
        "Über Moon.JPG: Mia Müller, 2025: first light\nno colon here\nother.jpg: nobody\n", "utf-8"
    )
    moon, small = sorted(images.own(), key=lambda image: -image.width)
    assert (moon.width, moon.height) == (1200, 800)
    assert moon.credit == "Mia Müller, 2025: first light"
    assert (small.width, small.height, small.credit) == (60, 40, "")
    for image in (moon, small):
        assert NAME.fullmatch(image.name)
        with Image.open(image.path) as made:
            assert (made.format, made.size) == ("WEBP", (image.width, image.height))
        assert images.find(image.name) == image
        assert image.path.is_relative_to(images.cache)


def test_nothing_of_the_camera_is_left(images: SplashImages) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker of cameras"
    exif.get_ifd(GPS)[2] = (48.0, 12.0, 36.0)
    draw(images.folder / "a.jpg", exif=exif)
    with Image.open(images.folder / "a.jpg") as original:
        assert original.getexif().get_ifd(GPS)
    (image,) = images.own()
    assert b"Maker of cameras" not in image.path.read_bytes()
    with Image.open(image.path) as made:
        assert not dict(made.getexif())


def test_a_picture_that_changes_has_another_address(images: SplashImages) -> None:
    path = images.folder / "a.png"
    draw(path)
    (first,) = images.own()
    assert images.own() == [first]
    draw(path, (80, 40))
    os.utime(path, (1.0, 1.0))
    (second,) = images.own()
    assert (second.version != first.version, second.width) == (True, 80)
    assert images.find(first.name) is None


def test_what_is_no_picture_is_passed_over(
    images: SplashImages, caplog: pytest.LogCaptureFixture
) -> None:
    (images.folder / "broken.jpg").write_bytes(b"\xff\xd8 and no more")
    (images.folder / "page.html").write_text("<script>")
    (images.folder / ".hidden.png").write_bytes(b"")
    (images.folder / "folder.png").mkdir()
    draw(images.folder / "good.png")
    (good,) = images.own()
    assert good.name.startswith("own-good-")
    assert "broken.jpg is not shown" in caplog.text


def ask(images: SplashImages, *paths: str, **headers: str) -> list[HTTPResponse]:
    """Answers of a server with the two routes."""

    async def asking() -> list[HTTPResponse]:
        told = {"facts": None, "images": images}
        app = Application(
            [(r"/images/", ImageListHandler, told), (r"/images/([^/]+)", ImageHandler, told)],
            facts=None,
        )
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(app)
        server.add_sockets(sockets)
        base = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        try:
            client = AsyncHTTPClient(force_instance=True)
            found = [
                await client.fetch(base + path, headers=headers, raise_error=False)
                for path in paths
            ]
            client.close()
            return found
        finally:
            server.stop()
            await server.close_all_connections()

    return asyncio.run(asking())


def test_the_routes(images: SplashImages) -> None:
    draw(images.folder / "a.png")
    art = ART["milky-way"]
    (image,) = images.own()
    listed, own, named, plain = ask(
        images,
        "/images/",
        f"/images/{image.name}?v={image.version}",
        f"/images/{art.address.removeprefix('images/')}",
        f"/images/{art.name}",
    )
    assert json.loads(listed.body)["images"] == [
        {"name": image.name, "version": image.version, "width": 60, "height": 40, "credit": ""}
    ]
    assert own.body == image.path.read_bytes()
    assert named.body == plain.body == (ART_FOLDER / art.name).read_bytes()
    for answer in (own, named, plain):
        assert answer.headers["Content-Type"] == "image/webp"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in own.headers["Cache-Control"]
    assert "immutable" in named.headers["Cache-Control"]
    assert plain.headers["Cache-Control"] == "public, max-age=300"
    (again,) = ask(images, f"/images/{art.name}", **{"If-None-Match": named.headers["Etag"]})
    assert (again.code, again.body) == (304, b"")


@pytest.mark.parametrize("name", ["..%2Fcredits.txt", "credits.txt", "%2e%2e", "a.png", "x" * 500])
def test_nothing_else_is_sent(images: SplashImages, name: str) -> None:
    draw(images.folder / "a.png")
    (images.folder / "credits.txt").write_text("a.png: secret")
    (answer,) = ask(images, f"/images/{name}")
    assert answer.code == 404
    assert b"secret" not in answer.body
