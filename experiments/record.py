"""What is stored: tables, with what tells a reader where their numbers come from (settings, versions, code), and the
trained networks that a chapter works with."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
import re
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
FOLDER, SOLVERS = ROOT / "experiments", ROOT / "helpers" / "solvers"
PACKAGES = ("torch", "numpy", "scikit-learn")


def load(name: str) -> dict:
    """The stored table of the script `name`.

    Returns:
        {"title", "settings", "rows", "code", "versions"}; a row has its label, `seeds`, and for each measured quantity
        the list of its values, one a seed.
    """
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def store(name: str, *, title: str, settings: dict, rows: list[dict]) -> Path:
    """Write a table, with what it was made by; returns the file."""
    table = {
        "title": title,
        "settings": settings,
        "rows": rows,
        "code": {"sha256": code_hash(name), "files": sorted(map(_name, reached(name)))},
        "versions": {"python": platform.python_version()} | {package: version(package) for package in PACKAGES},
    }
    path = FOLDER / f"{name}.json"
    text = json.dumps(table, indent=1, ensure_ascii=False)
    # a list of numbers or names on one line: a changed value is then one changed line
    text = re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()), text)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def network_file(name: str) -> Path:
    """Where the weights of a stored network lie."""
    return FOLDER / "networks" / f"{name}.npz"


def store_network(name: str, model: nn.Module) -> None:
    """Write the weights of a trained network, in single precision."""
    arrays = {key: value.numpy().astype(np.float32) for key, value in model.state_dict().items()}
    network_file(name).parent.mkdir(exist_ok=True)
    np.savez_compressed(network_file(name), **arrays)


def load_network(name: str, model: nn.Module) -> nn.Module:
    """Put stored weights into a network of the same make; returns it, in eval mode and with its weights fixed."""
    with np.load(network_file(name)) as arrays:
        model.load_state_dict({key: torch.from_numpy(arrays[key]) for key in arrays.files})
    return model.eval().requires_grad_(False)


def mean(values: list[float]) -> float:
    """The mean over seeds."""
    return statistics.fmean(values)


def spread(values: list[float]) -> float:
    """The standard deviation over seeds, n − 1 in the denominator; 0 for a single one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def tune(label: str, rates: Iterable[float], score: Callable[[float, int], float], runs: Iterable[int]) -> dict:
    """The mean of `score(lr, run)` over the runs, for every learning rate: one run would choose by luck as well."""
    found, runs = {}, tuple(runs)
    for lr in rates:
        found[f"{lr:g}"] = mean([score(lr, run) for run in runs])
        print(label, lr, f"{found[f'{lr:g}']:.4g}", flush=True)
    return found


def measured(row: str, seeds: Iterable[int], run: Callable[[int], dict[str, float]]) -> dict:
    """A row of a table: what `run(seed)` finds, a list for each quantity, with the seconds that it took; printed."""
    found, seeds = [], tuple(seeds)
    for seed in seeds:
        began = time.process_time()
        values = run(seed)
        found.append(values | {"seconds": time.process_time() - began})
    columns = {key: [values[key] for values in found] for key in found[0]}
    numbers = {key: v for key, v in columns.items() if not isinstance(v[0], list)}  # curves are not printed
    print(row, *(f"{key} {mean(v):.4g}±{spread(v):.2g}" for key, v in numbers.items()), sep=" | ", flush=True)
    return {"row": row, "seeds": list(seeds), **columns}


def code_hash(name: str) -> str:
    """SHA-256 of the code behind a table: the script, and all of this repository that it reaches by import.

    Only what can change a number counts: comments, docstrings and layout do not, nor does a module that the script does
    not reach. `from helpers.layers import ResidualStack` leads to the module that defines the name, not to all the
    others that the package names beside it. The solvers count where the script itself calls them: what a layer takes
    from them, one step of a tableau, is held to rounding by tests, and a new method changes no old one.
    """
    digest = hashlib.sha256()
    for path in sorted(reached(name), key=_name):
        digest.update(f"{_name(path)}\n{_dump(_bare(path))}\n".encode())
    return digest.hexdigest()


def reached(name: str) -> set[Path]:
    """The files that the script's import statements lead to, itself among them, this module apart."""
    script, found = FOLDER / f"{name}.py", set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in found and path != Path(__file__).resolve():
            found.add(path)
            waiting.extend(to for to in _imported(path) if path == script or not _enters(SOLVERS, path, to))
    return found


def _enters(folder: Path, path: Path, to: Path) -> bool:
    return folder in to.parents and folder not in path.parents


def _imported(path: Path) -> Iterator[Path]:
    package = path.parent.relative_to(ROOT).parts
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from filter(None, [_file(alias.name.split("."))])
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += (node.module or "").split(".") if node.module else []
            for alias in node.names:
                yield from filter(None, [_definition(base, alias.name)])


def _definition(module: list[str], name: str) -> Path | None:
    """The file where `from module import name` finds the name; None outside the repository."""
    if submodule := _file([*module, name]):
        return submodule
    path = _file(module)
    if path is None or path.name != "__init__.py":
        return path
    for node in _tree(path).body:
        if isinstance(node, ast.ImportFrom) and node.level and name in [a.asname or a.name for a in node.names]:
            inner = [*module[: len(module) - node.level + 1], *((node.module or "").split(".") if node.module else [])]
            original = next(a.name for a in node.names if (a.asname or a.name) == name)
            return _definition(inner, original)
    return path


def _file(module: list[str]) -> Path | None:
    if not module or module[0] not in ("helpers", "experiments"):
        return None
    stem = ROOT.joinpath(*module)
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _bare(path: Path) -> ast.Module:
    """The module's syntax tree, less its docstrings."""
    tree = _tree(path)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = body[1:]
    return tree


def _dump(node) -> str:
    """The tree as text, the same under every Python: `ast.dump` writes empty fields in some versions only."""
    if isinstance(node, list):
        return f"[{', '.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = (f"{name}={_dump(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
    return f"{type(node).__name__}({', '.join(fields)})"


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
