"""Where claims and explorers leave their records: small JSON files, outside the notebooks.

A record is written beside the repository's other build products so that tests and the book can read what a
notebook did without parsing its outputs. A reader's copy works without any: where there is no folder to write
to, nothing is written and nothing fails.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def build_folder() -> Path | None:
    """Folder of the records: ``HELPERS_BUILD`` if set, else ``build/`` of the checkout this package lies in.

    Returns:
        The folder (it may not exist yet), or None for a copy installed outside a checkout.
    """
    if named := os.environ.get("HELPERS_BUILD"):
        return Path(named)
    return REPOSITORY / "build" if (REPOSITORY / "pyproject.toml").is_file() else None


def write_record(folder: str, name: str, record: dict) -> Path | None:
    """Write one record to ``<build>/<folder>/<name>.json``, whole or not at all.

    Args:
        folder: ``"claims"`` or ``"explorers"``.
        name: file name without its ending.
        record: what to store; plain JSON values, all finite.

    Returns:
        The file, or None where nothing can be written (a read-only installation).
    """
    build = build_folder()
    if build is None:
        return None
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    target, scratch = build / folder / f"{name}.json", None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # A reader of the folder must never meet half a file: write beside it, then rename.
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=target.parent, suffix=".part", delete=False) as out:
            scratch = Path(out.name)
            out.write(text)
        scratch.replace(target)
    except OSError:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
        return None
    return target
