"""Worker processes that may die: whoever loses one learns which task was lost, and a new one takes its place.

`concurrent.futures` gives up all tasks when one process dies. In a batch of a million videos the one that brings a
decoder down is to be reported like any other that fails.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from mediaref.errors import MediaRefError
from mediaref.storage.access import Held, policies_in_force

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

_STARTED = "started"


class WorkerDiedError(RuntimeError):
    """The process that worked on a task ended without an answer; the message says how."""


class WorkerStartError(MediaRefError, RuntimeError):
    """Processes cannot be started, as in a script without `if __name__ == "__main__":`, which each of them runs."""


def check_is_no_start() -> None:
    """Raise `WorkerStartError` in a process that is being started and runs the main script for it."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise WorkerStartError(
            'the script runs again in each worker process: put what starts workers under `if __name__ == "__main__":`'
        )


@dataclass(eq=False)
class _Worker(Generic[_Task]):
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    task: _Task | None = None
    has_started: bool = False


class WorkerPool(Generic[_Task, _Result]):
    """Calls `function(task)` in processes of their own. Use it as a context: no process outlives it.

    If this process is killed, its workers end with the task that they have. Access policies in force where the pool is
    made hold in them too.
    """

    def __init__(self, workers: int, function: Callable[[_Task], _Result]) -> None:
        self._function = Held(function, policies_in_force())
        self._context = multiprocessing.get_context("spawn")  # a fork would copy the locks of our threads
        self._workers: list[_Worker[_Task]] = [self._started() for _ in range(workers)]

    @property
    def has_idle(self) -> bool:
        return any(worker.task is None for worker in self._workers)

    @property
    def is_busy(self) -> bool:
        return any(worker.task is not None for worker in self._workers)

    def give(self, task: _Task) -> None:
        """Hand a task to an idle worker."""
        worker = next(worker for worker in self._workers if worker.task is None)
        worker.task = task
        with suppress(BrokenPipeError):  # it died while it was idle, which `results` will find
            worker.pipe.send(task)

    def results(self) -> Iterator[tuple[_Task, _Result | WorkerDiedError]]:
        """Wait for news, the end of a task or more; raises what it raised.

        Raises `WorkerStartError` if a process ends before it could begin: so would all that take its place.
        """
        busy = {worker.pipe: worker for worker in self._workers if worker.task is not None}
        for pipe in wait(list(busy)):
            worker = busy[pipe]  # type: ignore[index]
            try:
                answer = worker.pipe.recv()
            except (EOFError, ConnectionError):
                worker.process.join()
                answer = None
            if answer == _STARTED:
                worker.has_started = True
                continue
            task, worker.task = worker.task, None
            assert task is not None
            if answer is None:
                if not worker.has_started:
                    raise WorkerStartError(
                        f"a worker process ended with status {worker.process.exitcode} before it could begin; what it "
                        "wrote to stderr says why"
                    )
                self._workers[self._workers.index(worker)] = self._started()
                yield task, WorkerDiedError(_how_it_ended(worker.process.exitcode))
                continue
            succeeded, result = answer
            if not succeeded:
                raise result
            yield task, result

    def _started(self) -> _Worker[_Task]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._function), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def __enter__(self) -> WorkerPool[_Task, _Result]:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.pipe.close()
            if worker.task is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join()


def _serve(pipe: Connection, function: Callable[[Any], Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the parent decides
    with suppress(OSError):  # nobody is there any more, as the next line finds out
        pipe.send(_STARTED)
    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (True, function(task))
        except Exception as error:
            answer = (False, error)
        try:
            pipe.send(answer)
        except OSError:  # nobody is there any more
            return


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"the process that prepared it was ended by {signal.Signals(-exitcode).name}"
    return f"the process that prepared it ended with status {exitcode}"
