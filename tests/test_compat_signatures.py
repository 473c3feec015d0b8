"""Every public callable of 0.3.1 and 1.1.0 takes here what it took there: names, order, kinds and defaults.

Those of 2.1.0 too, but for the defaults of its decoders. Listed is what the releases say of themselves by
`inspect.signature`, as one would write it in a stub.
"""

from __future__ import annotations

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
OF_2_1 = """
mediaref.MediaRef.to_ndarray(self, format='rgb', *, decoder, decoder_options=None, image_decoder, image_decoder_options=None, storage_options=None)
mediaref.MediaRef.to_pil_image(self, format='rgb', *, decoder, decoder_options=None, image_decoder, image_decoder_options=None, storage_options=None)
mediaref.MediaRef.validate_uri(self, *, storage_options=None)
mediaref.batch_decode(refs, decoder, *, decoder_options=None, image_decoder, image_decoder_options=None, storage_options=None, allow_images=False, allow_multi_video=False, gap_threshold=2.0, allow_gap=True)
mediaref.batch_decode(refs, *, output_format='rgb')
mediaref.video_decoder.PyAVVideoDecoder(source, *, storage_options=None, output_format='rgb', expected_pixel_format=None)
mediaref.video_decoder.TorchCodecVideoDecoder(source, *, storage_options=None)
mediaref.video_decoder.FrameBatch(data, pts_seconds, duration_seconds, pixel_format=None)
mediaref.video_decoder.VideoStreamMetadata(num_frames, duration_seconds, average_rate, width, height, begin_stream_seconds=0, end_stream_seconds=None, pixel_format=None)
"""  # noqa: E501
#: What None stands for where they name the default itself.
STANDS_FOR = {"decoder": "pyav", "output_format": "rgb"}


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
    name, _, arguments = line.removesuffix(")").partition("(")
    if ".hf." in name and find_spec("datasets") is None:
        pytest.skip("datasets is not installed (pip install 'mediaref[hf]')")
    theirs = inspect.signature(eval(f"lambda {arguments}: None")).parameters.values()
    required = [parameter for parameter in theirs if parameter.default is parameter.empty]
    signature = inspect.signature(ours(name))
    for given in (list(theirs), required):
        by_position = [each.name for each in given if each.kind is each.POSITIONAL_OR_KEYWORD]
        signature.bind(*by_position, **{each.name: None for each in given if each.name not in by_position})
        receiver = [each.name for each in given if each.name == "self"]
        signature.bind(*receiver, **{each.name: None for each in given if each.name not in receiver})
    for each in theirs:
        if each.default is not each.empty:
            default = signature.parameters[each.name].default
            assert default == each.default or (default is None and STANDS_FOR.get(each.name) == each.default)


@pytest.mark.parametrize("line", signatures(OF_0_3))
def test_calls_of_0_3_bind(line: str) -> None:
    assert_takes_the_same(line)


@pytest.mark.parametrize("line", signatures(OF_1_1))
def test_calls_of_1_1_bind(line: str) -> None:
    assert_takes_the_same(line)


@pytest.mark.parametrize("line", signatures(OF_2_1))
def test_calls_of_2_1_bind(line: str) -> None:
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
