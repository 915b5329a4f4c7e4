"""run.py, make and the environment that they make: in copies of the tooling, and without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

import run
from helpers.chapters import is_draft
from tools import lab, set_up, tasks, testing
from tools.clean import clean

ROOT = Path(__file__).resolve().parents[1]
TOOLING = ("run.py", "Makefile", "pyproject.toml", "constraints.txt", "tools")
# pip finds nothing, whatever this machine's own settings are
NO_NETWORK = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}


@pytest.fixture
def checkout(tmp_path):
    """A folder with what run.py needs, and no .venv."""
    for name in TOOLING:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


def type_in(folder, *command, **variables):
    """What somebody sees who types the command there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "MAKE"))}
    return subprocess.run(command, cwd=folder, env={**kept, **variables}, capture_output=True, text=True, timeout=120)


# --- the door


def test_without_a_task_each_one_has_its_line_of_help():
    shown = type_in(ROOT, sys.executable, "run.py")
    assert shown.returncode == 0
    for name, function in tasks.TASKS.items():
        assert re.search(rf"^  {name} +{re.escape(function.__doc__)}$", shown.stdout, re.M)


def test_an_unknown_task_names_those_there_are(tmp_path):
    shown = type_in(tmp_path, sys.executable, str(ROOT / "run.py"), "bake")
    assert shown.returncode == 2 and shown.stdout == ""
    (line,) = shown.stderr.splitlines()
    assert "'bake'" in line and all(name in line for name in tasks.TASKS)


@pytest.mark.parametrize(
    ("version", "fits"), [((3, 10, 13), False), ((2, 7, 18), False), ((3, 11, 0), True), ((3, 14, 0), True)]
)
def test_an_old_python_is_told_so_in_one_line(version, fits):
    complaint = run.too_old(version, "/usr/bin/python")
    if fits:
        assert complaint is None
    else:
        assert "\n" not in complaint and "3.11" in complaint and ".".join(map(str, version)) in complaint


def test_the_door_can_be_read_by_an_old_python():
    old = [path for path in map(shutil.which, ("python2", "python3.6", "python3.8", "python3.10")) if path]
    old = [path for path in old if type_in(ROOT, path, "--version").returncode == 0]
    if not old:
        # what the oldest of them would stumble over
        source = (ROOT / "run.py").read_text(encoding="ascii")
        assert not re.search(r"""\bf["']|:=|\bmatch\b|->|from __future__ import annotations""", source)
    for path in old:
        shown = type_in(ROOT, path, "run.py", "test")
        assert shown.returncode == 1 and shown.stdout == ""
        assert len(shown.stderr.splitlines()) == 1 and "3.11 or newer" in shown.stderr


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


@needs_make
def test_make_has_the_tasks_of_run_py():
    shown = type_in(ROOT, "make", f"PYTHON={sys.executable}")
    assert shown.stdout == type_in(ROOT, sys.executable, "run.py").stdout
    for name in tasks.TASKS:
        assert f"run.py {name} --option" in type_in(ROOT, "make", "--dry-run", name, "ARGS=--option").stdout


@needs_make
def test_make_without_the_python_or_with_an_unknown_task_says_so():
    missing = type_in(ROOT, "make", "lab", "PYTHON=python-that-is-not-there")
    assert missing.returncode and "There is no python-that-is-not-there here" in missing.stderr.splitlines()[0]
    unknown = type_in(ROOT, "make", "bake", f"PYTHON={sys.executable}")
    assert unknown.returncode and "There is no task 'bake'" in unknown.stderr.splitlines()[0]


# --- the environment


def test_without_ensurepip_one_line_names_the_package(checkout, tmp_path_factory):
    blocked = tmp_path_factory.mktemp("debian")
    (blocked / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'ensurepip' else find(name, *rest)\n"
    )
    shown = type_in(checkout, sys.executable, "run.py", "lab", PYTHONPATH=str(blocked))
    assert shown.returncode == 1
    (line,) = (shown.stdout + shown.stderr).splitlines()
    assert "apt install python3-venv" in line
    assert not (checkout / ".venv").exists()


def test_without_a_network_it_says_so_and_the_next_run_starts_again(checkout):
    shown = type_in(checkout, sys.executable, "run.py", "test", **NO_NETWORK)
    assert shown.returncode == 1 and shown.stdout.startswith("Setting up .venv (there is none yet)")
    assert shown.stderr.splitlines()[-1].startswith("Set-up failed: pip could not install the packages")
    assert "Traceback" not in shown.stderr
    assert json.loads((checkout / ".venv" / set_up.STAMP).read_text())["complete"] is False


class Pip:
    """Stands for pip and venv: notes what would be installed, and takes no time."""

    def __init__(self):
        self.log = []
        self.outcome = 0

    def create(self, folder):
        self.log.append("a new .venv")
        shutil.rmtree(folder, ignore_errors=True)
        for python in ("bin/python", "Scripts/python.exe"):
            (folder / python).parent.mkdir(parents=True)
            (folder / python).touch()
        (folder / set_up.STAMP).write_text('{"complete": false}')

    def call(self, command, *, env):
        assert command[1:4] == ["-m", "pip", "install"] and command[-2:] == [
            "--constraint",
            "constraints.txt",
        ]
        self.log.append(command[command.index("--editable") + 1])
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def since(self):
        """What was done since the last question."""
        done, self.log = self.log, []
        return done


@pytest.mark.parametrize("stopped", ["shutil.rmtree", "venv.create"])
def test_ctrl_c_while_the_old_environment_goes_or_the_new_one_comes(tmp_path, monkeypatch, stopped):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    (tmp_path / "lib").mkdir()
    (tmp_path / set_up.STAMP).write_text('{"complete": true}')
    monkeypatch.setattr(stopped, interrupted)
    with pytest.raises(KeyboardInterrupt):
        set_up.create(tmp_path)
    assert json.loads((tmp_path / set_up.STAMP).read_text()) == {"complete": False}
    assert (tmp_path / "lib").exists() is (stopped == "shutil.rmtree")


@pytest.fixture
def pip(monkeypatch):
    pip = Pip()
    monkeypatch.setattr(set_up, "create", pip.create)
    monkeypatch.setattr(set_up, "call", pip.call)
    return pip


@pytest.fixture
def ready(checkout, pip):
    """A checkout that has been set up."""
    set_up.Environment(checkout).ensure(["lab", "test"])
    assert pip.since() == ["a new .venv", ".[lab,test]"]
    return checkout


def test_nothing_is_run_when_nothing_changed(ready, pip):
    for name in ("pyproject.toml", "constraints.txt"):
        os.utime(ready / name)  # a new time is no change
    assert set_up.Environment(ready).ensure(["test"]) == ready / ".venv" / (
        "Scripts/python.exe" if os.name == "nt" else "bin/python"
    )
    assert pip.since() == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_lock_or_project_is_installed_over_what_there_is(ready, pip, name):
    with (ready / name).open("a") as file:
        file.write("# changed\n")
    set_up.Environment(ready).ensure(["lab", "test"])
    assert pip.since() == [".[lab,test]"]


def test_extras_are_added_and_stay(ready, pip):
    set_up.Environment(ready).ensure(["browser"])
    assert pip.since() == [".[browser,lab,test]"]
    for extras in (["browser"], ["lab"], ["test", "browser"]):
        set_up.Environment(ready).ensure(extras)
    assert pip.since() == []


def test_another_python_makes_a_new_environment(ready, pip, monkeypatch):
    monkeypatch.setattr(set_up, "ABI", ".cpython-399-elsewhere.so")
    set_up.Environment(ready).ensure(["test"])
    assert pip.since() == ["a new .venv", ".[test]"]


def test_a_python_that_is_gone_makes_a_new_environment(ready, pip):
    set_up.Environment(ready).python.unlink()
    set_up.Environment(ready).ensure(["test"])
    assert pip.since() == ["a new .venv", ".[test]"]


def test_a_checkout_that_has_moved_makes_a_new_environment(ready, pip, tmp_path_factory):
    moved = tmp_path_factory.mktemp("elsewhere") / "checkout"
    shutil.copytree(ready, moved)
    set_up.Environment(moved).ensure(["test"])
    assert pip.since() == ["a new .venv", ".[test]"]


def test_an_interrupted_set_up_is_made_anew(ready, pip):
    (ready / "constraints.txt").write_text("")
    pip.outcome = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        set_up.Environment(ready).ensure(["test"])
    pip.outcome = 0
    assert pip.since() == [".[lab,test]"]
    set_up.Environment(ready).ensure(["test"])
    assert pip.since() == ["a new .venv", ".[test]"]


def test_a_stamp_cut_short_is_no_stamp(ready, pip):
    (ready / ".venv" / set_up.STAMP).write_text('{"complete": tr')
    set_up.Environment(ready).ensure(["test"])
    assert pip.since() == ["a new .venv", ".[test]"]


def test_pip_failing_on_a_change_leaves_the_environment_and_is_tried_again(ready, pip):
    lock = (ready / "constraints.txt").read_text()
    (ready / "constraints.txt").write_text("")
    pip.outcome = 1
    for _ in range(2):
        with pytest.raises(set_up.SetUpError, match="pip could not install"):
            set_up.Environment(ready).ensure(["test"])
        assert pip.since() == [".[lab,test]"]
    (ready / "constraints.txt").write_text(lock)
    set_up.Environment(ready).ensure(["test"])
    assert pip.since() == []


def test_of_two_set_ups_at_once_the_second_waits_and_finds_all_done(checkout, pip, monkeypatch, capsys):
    at_work, go_on = threading.Event(), threading.Event()

    def slowly(folder):
        at_work.set()
        assert go_on.wait(10)
        pip.create(folder)

    monkeypatch.setattr(set_up, "create", slowly)
    monkeypatch.setattr(set_up.time, "sleep", lambda seconds: go_on.set())
    first = threading.Thread(target=set_up.Environment(checkout).ensure, args=[["test"]])
    first.start()
    assert at_work.wait(10)
    set_up.Environment(checkout).ensure(["test"])
    first.join()
    assert pip.since() == ["a new .venv", ".[test]"]
    assert "Another task is setting up .venv: waiting for it." in capsys.readouterr().out


def test_an_environment_made_by_hand_is_never_deleted(checkout, pip):
    folder = checkout / ".venv"
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(set_up.SetUpError, match="made by other means.*move it away"):
        set_up.Environment(checkout).ensure(["test"])
    assert pip.since() == [] and [path.name for path in folder.iterdir()] == ["mine"]


# --- the tasks


@pytest.mark.parametrize(
    ("platform", "environ", "display"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, False),
        ("darwin", {}, True),
        ("darwin", {"SSH_TTY": "/dev/ttys001"}, False),
        ("win32", {}, True),
    ],
)
def test_whether_a_browser_would_be_seen(platform, environ, display):
    assert lab.has_display(environ, platform) is display


def test_lab_without_a_display_and_for_root(tmp_path):
    def options(**where):
        return [str(part) for part in lab.command(Path("python"), tmp_path, ["--port", "9999"], **where)]

    desk = options(display=True, root=False)
    assert desk[:3] == ["python", "-m", "jupyterlab"] and desk[-2:] == ["--port", "9999"]
    assert f"--ServerApp.root_dir={tmp_path}" in desk
    assert "--no-browser" not in desk and "--allow-root" not in desk
    assert "--no-browser" in options(display=False, root=False)
    assert "--allow-root" in options(display=True, root=True)
    assert not any("token" in part or "password" in part for part in options(display=False, root=True))


def test_lab_opens_on_a_page_that_leads_to_every_chapter(tmp_path):
    assert f"--LabApp.default_url=/lab/tree/{lab.DOOR}" in lab.command(
        Path("python"), tmp_path, [], display=True, root=False
    )
    page = (ROOT / lab.DOOR).read_text(encoding="utf-8")
    chapters = [path.name for path in (ROOT / "notebooks").glob("*.ipynb") if not is_draft(path)]
    assert chapters and [name for name in chapters if f"]({name})" not in page] == []


def test_lab_says_which_port_it_uses_when_the_usual_one_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert lab.free_port(port) > port
        with pytest.raises(OSError, match=f"every port from {port} to {port} is taken"):
            lab.free_port(port, tries=1)
    assert lab.free_port(port) == port


@pytest.mark.parametrize("arguments", [["--port", "9"], ["--port=9"], ["--ServerApp.port=9"]])
def test_a_port_that_the_reader_names_is_used_or_refused(arguments):
    assert lab.names_port(arguments) and not lab.names_port(["--no-browser"])
    assert "--ServerApp.port_retries=0" in lab.command(Path("python"), ROOT, arguments, display=True, root=False)



class Steps:
    """Stands for the programs that a test run calls."""

    def __init__(self, **outcomes):
        self.outcomes = outcomes
        self.taken = []

    def __call__(self, command, *, env):
        words = [str(word) for word in command]
        name = "lint" if "ruff" in words else "records" if "after_notebooks" in words else "pytest"
        self.taken.append((name, words, env))
        return self.outcomes.get(name, 0)


@pytest.mark.parametrize(
    ("outcomes", "steps", "status"),
    [
        ({}, ["lint", "pytest", "records"], 0),
        ({"lint": 1}, ["lint", "pytest", "records"], 1),
        ({"pytest": 1}, ["lint", "pytest", "records"], 1),
        ({"records": 1}, ["lint", "pytest", "records"], 1),
        ({"records": 5}, ["lint", "pytest", "records"], 1),
        ({"pytest": 4}, ["lint", "pytest"], 1),
    ],
)
def test_a_test_run_takes_the_steps_that_make_sense_and_forgets_no_failure(monkeypatch, outcomes, steps, status):
    monkeypatch.setattr(testing, "empty_records", lambda: None)
    monkeypatch.setattr(testing, "call", taken := Steps(**outcomes))
    assert testing.run(Path("python"), []) == status
    assert [name for name, *_ in taken.taken] == steps
    *_, words, env = next(step for step in taken.taken if step[0] == "pytest")
    assert words[-2:] == ["tests", "notebooks"] and "loadfile" in words
    assert {"HELPERS_DEVICE": "cpu", "HELPERS_DRIVE": "1", "TQDM_DISABLE": "1"}.items() <= env.items()
    assert env.get("ATEN_CPU_CAPABILITY") == os.environ.get("ATEN_CPU_CAPABILITY") and "MPLBACKEND" not in env


@pytest.mark.parametrize(
    ("options", "last"),
    [
        (["-k", "odeint"], ["tests", "notebooks"]),
        (["tests/test_run.py::test_x", "-x"], ["tests/test_run.py::test_x", "-x"]),
    ],
)
def test_options_go_to_pytest(monkeypatch, options, last):
    monkeypatch.setattr(testing, "empty_records", lambda: None)
    monkeypatch.setattr(testing, "call", taken := Steps())
    assert testing.run(Path("python"), options) == 0
    ((name, words, _),) = taken.taken
    assert name == "pytest" and words[-len(last) :] == last and set(options) <= set(words)


def test_a_number_runs_a_chapter_with_its_own_tests_and_records(monkeypatch):
    monkeypatch.setattr(testing, "empty_records", lambda: None)
    monkeypatch.setattr(testing, "call", taken := Steps())
    assert testing.run(Path("python"), ["01"]) == 0
    (_, first, _), (name, records, _) = taken.taken
    assert {"notebooks/01_resnet_as_euler.ipynb", "tests/test_ch01_resnet_as_euler.py"} <= set(first)
    assert "tests" not in first and "notebooks" not in first and "01_resnet_as_euler" in first
    assert name == "records" and "01_resnet_as_euler" in records


def test_a_chapter_that_is_not_there_is_said(monkeypatch, capsys):
    monkeypatch.setattr(testing, "call", taken := Steps())
    assert testing.run(Path("python"), ["77"]) == 2 and not taken.taken
    assert "there is no notebook '77'" in capsys.readouterr().err


def test_steady_takes_the_notebooks_through_two_instruction_sets(monkeypatch):
    monkeypatch.setattr(testing, "call", taken := Steps())
    assert testing.steady(Path("python"), ["01"]) == 0
    assert [env["ATEN_CPU_CAPABILITY"] for *_, env in taken.taken] == ["default", "avx2"]
    assert all(words[-1].endswith("01_resnet_as_euler.ipynb") and "--nbval" in words for _, words, _ in taken.taken)
    monkeypatch.setattr(testing, "call", lambda command, *, env: env["ATEN_CPU_CAPABILITY"] == "default")
    assert testing.steady(Path("python"), []) == 1
    assert testing.steady(Path("python"), ["77"]) == 2


def test_stored_numbers_are_held_to_the_letter_on_linux():
    assert "--nbval" in testing.comparison("linux") and "--nbval-lax" not in testing.comparison("linux")
    assert "--nbval-lax" in testing.comparison("win32") and "--nbval" not in testing.comparison("darwin")


def test_old_records_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setenv("HELPERS_BUILD", str(tmp_path))
    for folder in ("claims", "explorers", "other"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "record.json").touch()
    testing.empty_records()
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.fixture
def started(monkeypatch):
    """The commands that a task starts, none of them run: arguments and variables. `status` is what they end with."""
    commands, status = [], {"tools.book": 0, "tools.slides": 0, "pytest": 0}

    def call(command, *, env=None):
        commands.append(([*map(str, command[2:])], env))
        return status[command[2]]

    monkeypatch.setattr(tasks.chromium, "find", lambda: "chromium")
    monkeypatch.setattr(tasks.Environment, "ensure", lambda self, extras: Path("python"))
    monkeypatch.setattr(tasks, "call", call)
    return SimpleNamespace(commands=commands, status=status)


def test_without_chromium_the_browser_tests_are_a_counted_skip(monkeypatch, tmp_path, capsys, started):
    (tmp_path / "tests" / "browser").mkdir(parents=True)
    (tmp_path / "tests" / "browser" / "test_sliders.py").write_text("def test_a(): ...\n\n\nasync def test_b(): ...\n")
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks.chromium, "find", lambda: None)
    assert tasks.main(["browser"]) == 0
    assert capsys.readouterr().out.startswith("browser: 2 tests skipped")
    assert [command for (command, *_), _ in started.commands] == ["tools.book", "tools.slides"], "these need none"
    assert tasks.main(["browser", "--no-skip"]) == 1


def test_in_a_browser_one_chapter_stands_for_all_unless_all_are_asked_for(started):
    assert tasks.main(["browser", "-x"]) == 0
    book, slides, (command, env) = started.commands
    assert (book[0], slides[0]) == (["tools.book", "00"], ["tools.slides", "00"])
    assert command[-2:] == ["-x", str(ROOT / "tests" / "browser")] and env["HELPERS_CHAPTERS"] == "00"
    started.commands.clear()
    assert tasks.main(["browser", "--all"]) == 0
    book, slides, (command, env) = started.commands
    assert (book[0], slides[0]) == (["tools.book"], ["tools.slides"])
    assert "--all" not in command and not env["HELPERS_CHAPTERS"]


def test_where_no_skip_is_allowed_the_browser_tests_are_told_so(started):
    started.status["pytest"] = 3
    assert tasks.main(["browser", "--no-skip", "-x"]) == 3
    command, env = started.commands[-1]
    assert "--no-skip" not in command and env["HELPERS_BROWSER"] == "required"
    tasks.main(["browser"])
    assert "HELPERS_BROWSER" not in started.commands[-1][1]


def test_a_book_that_cannot_be_built_is_not_read(started):
    started.status["tools.book"] = 1
    assert tasks.main(["browser"]) == 1 and len(started.commands) == 1


def test_clean_removes_what_was_made_and_nothing_that_git_tracks(tmp_path):
    made = [
        "build/claims",
        "helpers/__pycache__",
        "notebooks/.ipynb_checkpoints",
        "x.egg-info",
        ".pytest_cache",
    ]
    kept = [".venv/lib/__pycache__", "helpers/build", "tracked/__pycache__"]
    for name in (*made, *kept):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "--force", "tracked"], cwd=tmp_path, check=True)
    clean(tmp_path)
    assert [name for name in made if (tmp_path / name).exists()] == []
    assert [name for name in kept if not (tmp_path / name).exists()] == []
    clean(tmp_path, environment=True)
    assert not (tmp_path / ".venv").exists() and (tmp_path / "tracked/__pycache__/file").exists()


def interrupt(script):
    """Start a script that prints a line, press Ctrl-C as a terminal does, and return (status, output, errors)."""
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores Ctrl-C
    )
    assert child.stdout.readline() == "started\n"
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_ctrl_c_lets_a_task_end_by_itself_and_shows_no_traceback():
    command = (
        "import time\n"
        "try:\n"
        "    print('started', flush=True)\n"
        "    while True: time.sleep(0.01)\n"  # a signal just before one long sleep would wait for its end
        "except KeyboardInterrupt: time.sleep(0.5); print('ended by itself', flush=True)\n"
    )
    status, out, err = interrupt(
        "import sys\n"
        "from tools import tasks\n"
        "from tools.process import call\n"
        f"tasks.TASKS['test'] = lambda options: call([sys.executable, '-c', {command!r}])\n"
        "sys.exit(tasks.main(['test']))\n"
    )
    assert status == 130 and "ended by itself" in out and "Traceback" not in err


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_ctrl_c_asks_a_server_to_stop_and_is_no_failure():
    server = (
        "import signal, sys, time\n"
        "def stop(*_): print('shut down', flush=True); sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "print('started', flush=True)\n"
        "while True: time.sleep(0.01)\n"
    )
    status, out, err = interrupt(
        f"import sys\nfrom tools.process import serve\nsys.exit(serve([sys.executable, '-c', {server!r}]))\n"
    )
    assert (status, out, err) == (0, "shut down\n", "")
