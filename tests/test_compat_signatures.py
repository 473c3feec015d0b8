"""Every public callable of 0.3.1 and 1.1.0 takes here what it took there: names, order, kinds and defaults.

What the releases say of themselves by `inspect.signature`, written as one would write it in a stub.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

OF_0_3 = """
mediaref.MediaRef(*, uri, pts_ns=None)
mediaref.MediaRef.resolve_relative_path(self, base_path, on_unresolvable='warn')
mediaref.MediaRef.to_pil_image(self, *, keep_av_open=False)
mediaref.MediaRef.to_rgb_array(self, *, keep_av_open=False)
mediaref.MediaRef.validate_uri(self)
mediaref.DataURI(*, mimetype, is_base64=True, data)
mediaref.DataURI.from_file(path, format=None)
mediaref.DataURI.from_image(image, format='png', quality=None)
mediaref.DataURI.from_uri(uri)
mediaref.DataURI.to_pil_image(self)
mediaref.DataURI.to_rgb_array(self)
mediaref.batch_decode(refs, strategy=None, decoder='pyav')
mediaref.cleanup_cache()
mediaref.cached_av.cleanup_cache()
mediaref.cached_av.open(file, mode, *, keep_av_open=False)
mediaref.video_decoder.BaseVideoDecoder(source)
mediaref.video_decoder.PyAVVideoDecoder(source)
mediaref.video_decoder.PyAVVideoDecoder.__getitem__(self, key)
mediaref.video_decoder.PyAVVideoDecoder.close(self)
mediaref.video_decoder.PyAVVideoDecoder.get_frames_at(self, indices, *, strategy=None)
mediaref.video_decoder.PyAVVideoDecoder.get_frames_played_at(self, seconds, *, strategy=None)
mediaref.video_decoder.TorchCodecVideoDecoder(source)
mediaref.video_decoder.FrameBatch(data, pts_seconds, duration_seconds)
mediaref.video_decoder.VideoStreamMetadata(num_frames, duration_seconds, average_rate, width, height)
mediaref.video_decoder.types.VideoStreamMetadata(num_frames, duration_seconds, average_rate, width, height)
"""
OF_1_1 = """
mediaref.MediaRef(*, uri, pts_ns=None)
mediaref.MediaRef.resolve_relative_path(self, base_path, on_unresolvable='warn')
mediaref.MediaRef.to_ndarray(self, format='rgb')
mediaref.MediaRef.to_pil_image(self, format='rgb')
mediaref.MediaRef.validate_uri(self)
mediaref.core.MediaRef(*, uri, pts_ns=None)
mediaref.DataURI(*, mimetype, is_base64=True, data)
mediaref.data_uri.DataURI(*, mimetype, is_base64=True, data)
mediaref.DataURI.from_file(path, format=None)
mediaref.DataURI.from_image(image, format='png', quality=None, input_format='rgb')
mediaref.DataURI.from_uri(uri)
mediaref.DataURI.to_ndarray(self, format='rgb')
mediaref.DataURI.to_pil_image(self)
mediaref.batch_decode(refs, decoder='pyav', *, allow_images=False, allow_multi_video=False, gap_threshold=2.0, allow_gap=True)
mediaref.batch.batch_decode(refs, decoder='pyav', *, allow_images=False, allow_multi_video=False, gap_threshold=2.0, allow_gap=True)
mediaref.cleanup_cache()
mediaref.cached_av.cleanup_cache()
mediaref.cached_av.open(file, mode, *, keep_av_open=False)
mediaref.video_decoder.BaseVideoDecoder(source)
mediaref.video_decoder.PyAVVideoDecoder(source)
mediaref.video_decoder.PyAVVideoDecoder.close(self)
mediaref.video_decoder.PyAVVideoDecoder.get_frames_played_at(self, seconds)
mediaref.video_decoder.PyAVVideoDecoder.get_frames_played_in_range(self, start_seconds, stop_seconds, fps=None)
mediaref.video_decoder.TorchCodecVideoDecoder(source)
mediaref.video_decoder.FrameBatch(data, pts_seconds, duration_seconds)
mediaref.video_decoder.VideoStreamMetadata(num_frames, duration_seconds, average_rate, width, height, begin_stream_seconds=0, end_stream_seconds=None)
mediaref.compat.lerobot.from_videoframe(vf)
mediaref.compat.lerobot.lerobot_episode_to_refs(*, video_path, from_timestamp, frame_timestamps)
mediaref.compat.lerobot.to_videoframe(ref)
mediaref.hf.MediaRefFeature(decode=True, id=None)
mediaref.hf.MediaRefFeature.cast_storage(self, storage)
mediaref.hf.MediaRefFeature.decode_example(self, value, token_per_repo_id=None)
mediaref.hf.MediaRefFeature.encode_example(self, value)
"""  # noqa: E501 - one signature a line
#: Where None stands for the default that they name.
DEFAULTS_THAT_NONE_STANDS_FOR = {"decoder": "pyav"}


def signatures(text: str) -> list[Any]:
    lines = text.strip().split("\n")
    return [pytest.param(line, id=line.partition("(")[0].removeprefix("mediaref.")) for line in lines]


def ours(name: str) -> Callable[..., Any]:
    """The object of a dotted name, whose first parts are modules."""
    found: Any = import_module("mediaref")
    for part in name.split(".")[1:]:
        found = getattr(found, part, None) or import_module(f"{found.__name__}.{part}")
    result: Callable[..., Any] = found
    return result


def assert_takes_the_same(line: str) -> None:
    name = line.partition("(")[0]
    if ".hf." in name and find_spec("datasets") is None:
        pytest.skip("datasets is not installed (pip install 'mediaref[hf]')")
    (defined,) = ast.parse(f"def f({line.partition('(')[2]}: ...").body
    assert isinstance(defined, ast.FunctionDef)
    signature, arguments = inspect.signature(ours(name)), defined.args
    positional = [argument.arg for argument in arguments.args]
    keyword = [argument.arg for argument in arguments.kwonlyargs]
    given = {each: object() for each in positional + keyword}
    # As many by position as they allow, and all by name.
    signature.bind(*positional, **{each: given[each] for each in keyword})
    receiver = [argument for argument in positional if argument == "self"]
    signature.bind(*receiver, **{each: value for each, value in given.items() if each not in receiver})
    # What they do without, we do without, and it means the same.
    optional = positional[len(positional) - len(arguments.defaults) :]
    theirs = dict(zip(optional, arguments.defaults, strict=True))
    theirs |= {each: value for each, value in zip(keyword, arguments.kw_defaults, strict=True) if value is not None}
    signature.bind(*positional[: len(positional) - len(theirs.keys() & set(positional))], **{
        each: given[each] for each in keyword if each not in theirs
    })  # fmt: skip
    for each, value in theirs.items():
        default, expected = signature.parameters[each].default, ast.literal_eval(value)
        assert default == expected or (default is None and DEFAULTS_THAT_NONE_STANDS_FOR.get(each) == expected)


@pytest.mark.parametrize("line", signatures(OF_0_3))
def test_calls_of_0_3_bind(line: str) -> None:
    assert_takes_the_same(line)


@pytest.mark.parametrize("line", signatures(OF_1_1))
def test_calls_of_1_1_bind(line: str) -> None:
    assert_takes_the_same(line)


@pytest.mark.parametrize(
    "line", ["mediaref.batch_decode(refs, bogus)", "mediaref.MediaRef.to_ndarray(self, format='bgr')"]
)
def test_a_call_that_does_not_bind_is_found(line: str) -> None:
    with pytest.raises((TypeError, AssertionError)):
        assert_takes_the_same(line)


def test_the_names_of_0_3_and_1_1_are_public_here() -> None:
    """`mediaref` itself and the modules whose `__all__` they have."""
    for module, names in {
        "mediaref": "DataURI MediaRef batch_decode cleanup_cache",
        "mediaref.cached_av": "cleanup_cache open",
        "mediaref.compat.lerobot": "from_videoframe lerobot_episode_to_refs to_videoframe",
        "mediaref.video_decoder": (
            "BaseVideoDecoder BatchDecodingStrategy FrameBatch PyAVVideoDecoder TorchCodecVideoDecoder "
            "VideoStreamMetadata"
        ),
    }.items():
        assert set(names.split()) <= set(import_module(module).__all__)
