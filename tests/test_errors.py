"""Errors: one family, each also the builtin that one would catch."""

from __future__ import annotations

import errno
import inspect
import pickle
import sys
import types

import pytest

from mediaref import errors
from mediaref.errors import AccessDeniedError, CorruptMediaError, InvalidReferenceError, MediaRefError
from mediaref.threads import resolve_threads
from mediaref.video_decoder.container import translated_errors

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_is_one_of_ours_and_a_builtin_and_keeps_its_words(kind: type[MediaRefError]) -> None:
    assert issubclass(kind, MediaRefError)
    builtin = set(kind.__mro__) - {*KINDS, Exception, BaseException, object}
    assert builtin or kind is MediaRefError
    error = kind("clip.mp4: broken").within("Failed")
    assert type(error) is kind
    assert str(error) == "Failed: clip.mp4: broken"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_threads_follow_the_cpus_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert resolve_threads(None) == 3
    assert resolve_threads(2) == 2
    for wrong in (0, -1):
        with pytest.raises(InvalidReferenceError, match="threads"):
            resolve_threads(wrong)


def test_a_dataloader_worker_gets_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = types.SimpleNamespace(get_worker_info=lambda: object())
    monkeypatch.setitem(sys.modules, "torch.utils.data", worker)  # type: ignore[arg-type]
    assert resolve_threads(None) == 1
    worker.get_worker_info = lambda: None  # type: ignore[assignment,return-value]
    assert resolve_threads(None) >= 1


@pytest.mark.parametrize(("code", "kind"), [(errno.EPERM, CorruptMediaError), (errno.EACCES, AccessDeniedError)])
def test_what_ffmpegs_decoders_say_of_damage_is_not_taken_for_a_refusal(code: int, kind: type[MediaRefError]) -> None:
    """They give -1, which reads as EPERM."""
    av = pytest.importorskip("av")
    with pytest.raises(kind, match=r"clip\.mp4"), translated_errors("clip.mp4"):
        raise av.error.PermissionError(code, "of FFmpeg")
