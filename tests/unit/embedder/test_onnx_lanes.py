"""Parts side by side: in order, without a gap between batches, and none that nobody waits for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from hanax.embedder.backends import Vectors
from hanax.embedder.backends.onnx_lanes import Lanes
from hanax.embedder.backends.session import Laid

# However slow the machine.
PATIENCE_S = 60.0


def part(number: int) -> Laid:
    return {"input_ids": np.array([[number]])}


class Gates:
    """Stands for a model: part n begins at once, is computed when `open(n)` was called, and gives [[n]]."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._opened: set[int] = set()
        self.begun: list[int] = []

    def run(self, laid: Laid) -> Vectors:
        number = int(laid["input_ids"][0, 0])
        with self._changed:
            self.begun.append(number)
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: number in self._opened, PATIENCE_S)
        if number < 0:
            raise ValueError(number)
        return np.array([[number]], np.float32)

    def open(self, *numbers: int) -> None:
        with self._changed:
            self._opened |= set(numbers)
            self._changed.notify_all()

    def await_begun(self, *numbers: int) -> None:
        """Exactly these have begun by now, in whatever order."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.begun) >= len(numbers), PATIENCE_S)
            assert sorted(self.begun) == sorted(numbers)


@pytest.fixture
def gates() -> Gates:
    return Gates()


@pytest.fixture
def lanes(gates: Gates) -> Iterator[Lanes]:
    made = Lanes(2, gates.run)
    yield made
    gates.open(*range(-10, 10))
    made.close()


def test_answers_come_in_the_order_of_the_parts(lanes: Lanes, gates: Gates) -> None:
    started = lanes.start([part(0), part(1), part(2)])
    gates.await_begun(0, 1)
    gates.open(1)
    gates.await_begun(0, 1, 2)
    gates.open(2, 0)
    assert np.concatenate(list(started.vectors())).tolist() == [[0], [1], [2]]


def test_an_idle_lane_goes_on_with_the_next_batch(lanes: Lanes, gates: Gates) -> None:
    one = lanes.start([part(0), part(1)])
    other = lanes.start([part(2), part(3)])
    gates.await_begun(0, 1)
    gates.open(0)
    gates.await_begun(0, 1, 2)
    gates.open(1, 2, 3)
    assert np.concatenate([*one.vectors(), *other.vectors()]).tolist() == [[0], [1], [2], [3]]


def test_parts_of_a_batch_that_was_let_go_are_not_begun(lanes: Lanes, gates: Gates) -> None:
    one = lanes.start([part(0), part(1)])
    dropped = lanes.start([part(2), part(3)])
    kept = lanes.start([part(4)])
    gates.await_begun(0, 1)
    del dropped
    gates.open(0, 1, 4)
    assert np.concatenate([*one.vectors(), *kept.vectors()]).tolist() == [[0], [1], [4]]
    assert sorted(gates.begun) == [0, 1, 4]


def test_lanes_are_busy_until_the_last_part_is_done(lanes: Lanes, gates: Gates) -> None:
    assert not lanes.is_busy
    started = lanes.start([part(0), part(1)])
    assert lanes.is_busy
    gates.open(0, 1)
    list(started.vectors())
    assert not lanes.is_busy


def test_a_part_that_fails_fails_its_batch_alone(lanes: Lanes, gates: Gates) -> None:
    failing, sound = lanes.start([part(0), part(-1)]), lanes.start([part(1)])
    gates.open(-1, 0, 1)
    with pytest.raises(ValueError, match="-1"):
        list(failing.vectors())
    assert np.concatenate(list(sound.vectors())).tolist() == [[1]]
