"""A notebook becomes a page: Voila runs it in a kernel, and draws it with the site's template.

The two are done apart. Running is what takes seconds, and is done before anybody asks; drawing
takes milliseconds, and is done for each visitor, so that nobody's name is in anybody else's page.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import TemplateError
from nbclient.exceptions import CellExecutionError
from nbconvert.preprocessors.clearoutput import ClearOutputPreprocessor
from traitlets.config import Config
from voila.execute import VoilaExecutor
from voila.exporter import VoilaExporter
from voila.paths import collect_template_paths

from crowdsky.errors import CrowdSkyError
from crowdsky.pages_server.facts import TEMPLATE, Facts

__all__ = ["PageNotDrawn", "PageNotThere", "Renderer", "written"]

log = logging.getLogger(__name__)
_CELL_S = 120
_LEAST_BYTES = 300  # what Voila says when it finds no template has 84


class PageNotThere(CrowdSkyError):
    """There is no notebook of that name."""


class PageNotDrawn(CrowdSkyError):
    """A notebook or the template failed."""


class Renderer:
    """Runs and draws the notebooks of a folder.

    Parameters
    ----------
    facts : Facts
    contents : object
        Jupyter's contents manager, from which markdown cells may take pictures.
    """

    def __init__(self, facts: Facts, contents: Any) -> None:
        self.facts = facts
        config = Config()
        config.VoilaExporter.exclude_input = True
        config.VoilaExporter.exclude_output_prompt = True
        config.VoilaExporter.exclude_input_prompt = True
        self._exporter = VoilaExporter(
            template_paths=_template_paths(facts.template),
            template_name=TEMPLATE,
            config=config,
            contents_manager=contents,
            base_url=facts.base,
        )

    async def check(self, pages: tuple[str, ...]) -> list[str]:
        """What is wrong with the template and the notebooks, one sentence each."""
        wrong = []
        try:
            await self.draw(written(), "", self.facts.told(page="", title=""))
        except PageNotDrawn as error:
            wrong.append(str(error))
        for page in pages:
            try:
                self.load(page)
            except CrowdSkyError as error:
                wrong.append(str(error))
        return wrong

    def load(self, page: str) -> Any:
        """A notebook, without the outputs that it may have been saved with.

        Raises
        ------
        PageNotThere, PageNotDrawn
        """
        path = self.facts.notebooks / f"{page}.ipynb"
        try:
            notebook = nbformat.read(path, as_version=4)
        except FileNotFoundError:
            raise PageNotThere(f"the notebook of the page '{page}' is not there") from None
        except (OSError, ValueError, nbformat.ValidationError) as error:
            raise PageNotDrawn(
                f"the notebook of the page '{page}' cannot be read ({error})"
            ) from None
        cleared, _ = ClearOutputPreprocessor().preprocess(notebook, {})
        cleared.metadata.kernelspec = nbformat.NotebookNode(
            name="python3", display_name="Python 3", language="python"
        )
        return cleared

    async def run(self, page: str, kernel_manager: Any) -> Any:
        """Run a notebook in a kernel; the notebook with its outputs.

        Raises
        ------
        PageNotThere, PageNotDrawn
            The latter also if one of its cells fails: half a page would be a riddle.
        """
        notebook = self.load(page)
        executor = VoilaExecutor(notebook, km=kernel_manager, timeout=_CELL_S, show_tracebacks=True)
        try:
            executor.kc = await executor.async_start_new_kernel_client()
            try:
                for number, cell in enumerate(notebook.cells):
                    await executor.execute_cell(cell, None, number, store_history=False)
            finally:
                executor.kc.stop_channels()
        except (CellExecutionError, TimeoutError, RuntimeError) as error:
            raise PageNotDrawn(f"the notebook of the page '{page}' failed: {error}") from error
        return notebook

    async def draw(self, notebook: Any, kernel_id: str, told: dict[str, str]) -> str:
        """The HTML of a notebook that has run.

        Parameters
        ----------
        notebook : NotebookNode
        kernel_id : str
            Of the kernel that the page shall speak to; empty for none.
        told : dict
            What the template gets as ``resources.crowdsky``.

        Raises
        ------
        PageNotDrawn
        """
        html = await self._draw(notebook, kernel_id, told)
        if len(html) < _LEAST_BYTES or "</html>" not in html[-200:].lower():
            raise PageNotDrawn(f"the template '{TEMPLATE}' draws no whole page")
        return html

    async def _draw(self, notebook: Any, kernel_id: str, told: dict[str, str]) -> str:
        async def cells(nb: Any, _kernel_id: str) -> Any:
            for cell in nb.cells:
                yield cell

        async def execute(_nb: Any, _kernel_id: str) -> None:
            return None  # it has run

        async def start(_nb: Any) -> str:
            return kernel_id

        resources = {
            "base_url": self.facts.base,
            "theme": "light",
            "template": TEMPLATE,
            "metadata": {"name": told["page"]},
            "page_config": {"baseUrl": self.facts.base},
            "crowdsky": told,
        }
        context = {
            "frontend": "voila",
            "main_js": "voila.js",
            "kernel_start": start,
            "notebook_execute": execute,
            "cell_generator": cells,
            "progressive_rendering": False,
        }
        parts: list[str] = []
        try:
            async for part, _ in self._exporter.generate_from_notebook_node(
                notebook,
                resources=resources,
                extra_context=context,
                page_config=resources["page_config"],
            ):
                parts.append(part)
        except (TemplateError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise PageNotDrawn(
                f"the template '{TEMPLATE}' cannot draw a page "
                f"({type(error).__name__}: {error}); is it built? `make setup` builds it"
            ) from error
        return "".join(parts)


def written(html: str = "") -> Any:
    """A notebook that has run, and whose one cell has given some HTML."""
    outputs = [nbformat.v4.new_output("display_data", {"text/html": html})] if html else []
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])
    made.metadata.kernelspec = nbformat.NotebookNode(
        name="python3", display_name="Python 3", language="python"
    )
    return made


def _template_paths(template: Path) -> list[str]:
    """Our own template, and what it may be based upon: never one of another name."""
    return [str(template), *collect_template_paths(["voila", "nbconvert"], "base", prune=True)]
