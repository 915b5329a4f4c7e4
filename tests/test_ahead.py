"""Pictures drawn ahead of the reader: only in a pause, neighbours only, onwards first, and never in the way."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from helpers.lesson.explorer import ahead
from helpers.lesson.explorer.ahead import Ahead


class Painter:
    """Remembers what was drawn, in order."""

    def __init__(self):
        self.drawn = []

    def __call__(self, at, scale):
        self.drawn.append(at)
        return f"{at} {scale}".encode()


@pytest.fixture(autouse=True)
def short_pause(monkeypatch):
    monkeypatch.setattr(ahead, "PAUSE", 0.01)


def run(*requests, counts=(5, 2), rest=0.1):
    """The pictures drawn for these requests, each followed by a rest."""
    painter = Painter()
    pictures = Ahead(painter, counts)

    async def read():
        for at in requests:
            assert pictures.picture(list(at), 1.0) == f"{at} 1.0".encode()
            await asyncio.sleep(rest)

    asyncio.run(read())
    return painter.drawn


def test_neighbours_are_drawn_in_the_pause():
    assert run((2, 0)) == [(2, 0), (3, 0), (1, 0), (2, 1)]


def test_nothing_is_drawn_beyond_the_ends():
    assert run((4, 1)) == [(4, 1), (3, 1), (4, 0)]


def test_the_control_that_moved_comes_first_onwards_before_back():
    assert run((2, 0), (1, 0)) == [(2, 0), (3, 0), (1, 0), (2, 1), (0, 0), (1, 1)]
    assert run((2, 0), (2, 1))[4:] == [(3, 1), (1, 1)]


def test_a_picture_is_drawn_once():
    drawn = run((2, 0), (3, 0), (2, 0), (3, 0))
    assert len(drawn) == len(set(drawn))


def test_a_reader_in_a_hurry_is_not_kept_waiting():
    assert run((0, 0), (1, 0), (2, 0), rest=0) == [(0, 0), (1, 0), (2, 0)]


def test_without_an_event_loop_only_what_is_asked_for_is_drawn():
    painter = Painter()
    Ahead(painter, [5]).picture([2], 1.0)
    assert painter.drawn == [(2,)]


def test_the_oldest_pictures_are_forgotten(monkeypatch):
    monkeypatch.setattr(ahead, "KEPT", 2)
    painter = Painter()
    pictures = Ahead(painter, [5])
    for place in (0, 1, 2, 0):
        pictures.picture([place], 1.0)
    assert painter.drawn == [(0,), (1,), (2,), (0,)]


def test_another_scale_is_another_picture():
    painter = Painter()
    pictures = Ahead(painter, [5])
    assert pictures.picture([0], 1.0) != pictures.picture([0], 1.5)


def test_a_neighbour_that_cannot_be_drawn_is_told_only_to_who_asks():
    def draw(at, scale):
        if at == (3,):
            raise ZeroDivisionError
        return b"picture"

    pictures = Ahead(draw, [5])

    async def read():
        pictures.picture([2], 1.0)
        await asyncio.sleep(0.1)
        with pytest.raises(ZeroDivisionError):
            pictures.picture([3], 1.0)

    asyncio.run(read())


def test_two_threads_never_draw_at_once():
    """JupyterLab asks from another thread than the one where pictures are drawn ahead, and there is one figure."""
    inside, most, drawn = threading.Semaphore(1), [], []

    def draw(at, scale):
        alone = inside.acquire(blocking=False)
        most.append(1 if alone else 2)
        time.sleep(0.005)
        drawn.append(at)
        if alone:
            inside.release()
        return str(at).encode()

    pictures = Ahead(draw, (40, 40))

    async def read(requests):
        for at in requests:
            assert pictures.picture(at, 1.0) == str(at).encode()
            await asyncio.sleep(0.02)

    columns = [[(column, row) for row in range(0, 40, 4)] for column in (5, 30)]
    threads = [threading.Thread(target=asyncio.run, args=[read(column)]) for column in columns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(drawn) == len(set(drawn)) >= 20


def test_what_was_planned_on_one_thread_is_dropped_when_another_asks():
    painter = Painter()
    pictures = Ahead(painter, (9,))

    async def read():
        pictures.picture((2,), 1.0)
        other = threading.Thread(target=pictures.picture, args=[(7,), 1.0])
        other.start()
        other.join()
        await asyncio.sleep(0.1)

    asyncio.run(read())
    assert painter.drawn == [(2,), (7,)]
