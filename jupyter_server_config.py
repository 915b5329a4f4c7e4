"""What `make lab` passes on the command line, for `jupyter lab --config=jupyter_server_config.py`.

Chapters are saved without widgets, which are lost with their kernel (`tools/saving.py`).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # where the server finds `tools`

c = get_config()  # noqa: F821  Jupyter defines it
c.FileContentsManager.pre_save_hook = "tools.saving.without_widgets"
