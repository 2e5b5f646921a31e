"""Every order in which the calls of several actors can follow each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Actor = Callable[[Any], Any]  # does its work with the client that it is given


class _Turns:
    """Lets one actor at a time make one call."""

    def __init__(self, client: Any, actors: Sequence[Actor]) -> None:
        self._client = client
        self._wants = [threading.Semaphore(0) for _ in actors]
        self._arrived = threading.Semaphore(0)
        self.outcomes: list[Any] = [None] * len(actors)
        self.is_over = [False] * len(actors)
        self._threads = [
            threading.Thread(target=self._run, args=(number, actor), daemon=True)
            for number, actor in enumerate(actors)
        ]
        for thread in self._threads:
            thread.start()
            self._arrived.acquire()

    def _run(self, number: int, actor: Actor) -> None:
        try:
            self.outcomes[number] = actor(_Waiting(self._client, self, number))
        except Exception as error:  # noqa: BLE001 - an outcome like any other
            self.outcomes[number] = error
        self.is_over[number] = True
        self._arrived.release()

    def wait_for_turn(self, number: int) -> None:
        self._arrived.release()
        self._wants[number].acquire()

    def give(self, number: int) -> None:
        """Let an actor make its call and come to its next one, or to its end."""
        self._wants[number].release()
        self._arrived.acquire()

    @property
    def waiting(self) -> list[int]:
        return [number for number, over in enumerate(self.is_over) if not over]


class _Waiting:
    def __init__(self, client: Any, turns: _Turns, number: int) -> None:
        self._client = client
        self._turns = turns
        self._number = number

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def in_turn(**request: Any) -> Any:
            self._turns.wait_for_turn(self._number)
            return call(**request)

        return in_turn


def every_schedule(
    client: Any, begin: Callable[[], None], actors: Sequence[Actor]
) -> Iterator[list[Any]]:
    """Run the actors in every order of their calls; yield what each came to, schedule by schedule.

    `begin` puts the world back to where each schedule starts.
    """
    untried: list[list[int]] = [[]]
    while untried:
        schedule = untried.pop()
        begin()
        turns = _Turns(client, actors)
        taken: list[int] = []
        while waiting := turns.waiting:
            place = len(taken)
            if place < len(schedule):
                choice = schedule[place]
            else:
                choice = waiting[0]
                untried += [[*taken, other] for other in waiting[1:]]
            taken.append(choice)
            turns.give(choice)
        yield turns.outcomes
