"""What JupyterLab writes when a chapter is saved: nothing that only this kernel can show.

A widget stored in a notebook is the id of something in a kernel. Opened with another kernel, it reads "Error displaying
widget: model not found", although its picture lies beside it. So the picture is stored alone,
and words to it; as HTML, since JupyterLab gives a picture that is an output of its own no alt text.
"""

from __future__ import annotations

import html

from tools.refresh import WIDGET

WORDS = "A still picture: run this cell to bring its controls to life."


def without_widgets(model: dict, **_) -> None:
    """Leave widgets out of a notebook about to be written; Jupyter calls this, its ``pre_save_hook``.

    Args:
        model: what Jupyter's contents manager is to save, changed in place; not what the reader sees in the page.
    """
    if model["type"] != "notebook":
        return
    content = model["content"]
    content.get("metadata", {}).pop("widgets", None)
    for cell in content.get("cells", []):
        if "outputs" in cell:
            cell["outputs"] = [kept for output in cell["outputs"] for kept in _lasting(output)]


def _lasting(output: dict) -> list[dict]:
    """What stays of an output: itself, or of a widget its picture with `WORDS` under it."""
    data = output.get("data")
    if data == {}:  # a line of progress that was taken away
        return []
    if not data or WIDGET not in data:
        return [output]
    if "image/png" not in data:
        return []
    still = {"text/html": _figure(data["image/png"], **output["metadata"].get("image/png", {}))}
    return [{**output, "data": {**still, "text/plain": data.get("text/plain", WORDS)}, "metadata": {}}]


def _figure(picture: str | list[str], *, alt: str = "", width: int | str = "auto", height: int | str = "auto") -> str:
    source = "".join(picture).replace("\n", "")
    return (
        f'<figure style="margin: 0"><img src="data:image/png;base64,{source}" alt="{html.escape(alt)}" '
        f'width="{width}" height="{height}"><figcaption>{WORDS}</figcaption></figure>'
    )
