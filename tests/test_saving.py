"""What is written when JupyterLab saves: no widget, its picture in its place, everything else as it was."""

from __future__ import annotations

import copy
import sys

from traitlets import import_item
from traitlets.config.loader import PyFileConfigLoader

from tools.lab import SAVING
from tools.process import ROOT
from tools.refresh import WIDGET
from tools.saving import WORDS, without_widgets


def saved(*outputs, **metadata):
    cells = [{"cell_type": "markdown", "source": "x"}, {"cell_type": "code", "outputs": copy.deepcopy(list(outputs))}]
    model = {"type": "notebook", "content": {"cells": cells, "metadata": dict(metadata)}}
    without_widgets(model=model, path="a.ipynb", contents_manager=None)
    return model["content"]


def shown(**data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


def test_of_an_explorer_its_picture_stays_with_alt_text_and_words():
    explorer = shown(**{WIDGET: {"model_id": "1"}, "image/png": ["QU\n", "JD\n"], "text/plain": "Explorer()"})
    explorer["metadata"] = {"image/png": {"alt": 'A "dot"', "width": 3, "height": 2}}
    (output,) = saved(explorer)["cells"][1]["outputs"]
    assert set(output["data"]) == {"text/html", "text/plain"} and output["metadata"] == {}
    page = output["data"]["text/html"]
    assert 'src="data:image/png;base64,QUJD" alt="A &quot;dot&quot;" width="3" height="2"' in page and WORDS in page
    assert saved(output)["cells"][1]["outputs"] == [output], "saved twice it is the same"


def test_of_a_widget_without_a_picture_nothing_stays():
    assert saved(shown(**{WIDGET: {"model_id": "1"}, "text/plain": "0%"}), shown())["cells"][1]["outputs"] == []


def test_everything_else_stays_as_it_is():
    outputs = [{"output_type": "stream", "name": "stdout", "text": "a"}, shown(**{"image/png": "QUJD"})]
    content = saved(*outputs, kernelspec={"name": "python3"}, widgets={"state": {}})
    assert content["cells"][1]["outputs"] == outputs and content["metadata"] == {"kernelspec": {"name": "python3"}}
    file = {"type": "file", "content": "text"}
    without_widgets(model=file)
    assert file == {"type": "file", "content": "text"}


def test_jupyter_started_alone_with_the_config_file_saves_in_the_same_way(monkeypatch):
    monkeypatch.setattr("sys.path", [entry for entry in sys.path if entry not in ("", str(ROOT))])
    config = PyFileConfigLoader("jupyter_server_config.py", path=str(ROOT)).load_config()
    assert import_item(config.FileContentsManager.pre_save_hook) is without_widgets
    assert f"--FileContentsManager.pre_save_hook={config.FileContentsManager.pre_save_hook}" == SAVING
    assert str(ROOT) in sys.path, "a server is started from elsewhere in the path"
