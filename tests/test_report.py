"""The report: one well-formed page that needs nothing else, and tells the truth."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codec_video_prep import cli, run_preinfer
from codec_video_prep.report import write_report
from mediaref.errors import InvalidReferenceError, MediaNotFoundError

Clip = Callable[[str], Path]

VOID = {"meta", "img", "input", "br", "link", "hr"}


class Page(HTMLParser):
    """Checks that elements nest, and collects attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def values(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.elements if name in attributes]


def make(video: Path, out: Path, **options: Any) -> tuple[Page, dict[str, Any]]:
    result = run_preinfer(str(video), str(out), **options)
    return Page(write_report(out, video).read_text(encoding="utf-8")), result.summary


@pytest.fixture(scope="module")
def report(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("report") / "out"
    return (*make(clip("long"), out, num_sampled_frames=64), out)


Report = tuple[Page, dict[str, Any], Path]


def test_the_page_needs_nothing_else(report: Report) -> None:
    page, _, out = report
    for source in [*page.values("src"), *page.values("href")]:
        assert source.startswith(("data:image/", "#")), source[:80]
    assert not {tag for tag, _ in page.elements} & {"link", "iframe", "object", "embed", "base", "form"}
    outside = re.sub(r"data:image/\w+;base64,[A-Za-z0-9+/=]+", "", (out / "report.html").read_text())
    assert not re.search(r"https?://|//\w+\.\w|url\(|@import|fetch\(|XMLHttpRequest|import\(", outside)
    policy = next(values["content"] for tag, values in page.elements if values.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_the_page_can_be_read_by_everybody(report: Report) -> None:
    page, _, out = report
    assert ("html", {"lang": "en"}) in page.elements
    assert all(values.get("alt") for tag, values in page.elements if tag == "img")
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    referred = [*page.values("aria-labelledby"), *(link[1:] for link in page.values("href"))]
    assert set(referred) <= set(ids)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    text = (out / "report.html").read_text()
    assert "prefers-color-scheme: dark" in text
    assert "width=device-width" in text


def test_the_page_tells_of_every_sampled_frame_group_and_canvas(report: Report) -> None:
    page, meta, out = report
    told = {int(match[1]) for title in page.texts["title"] if (match := re.match(r"frame (\d+), ", title))}
    assert told == set(meta["frame_ids"])
    headings = [text for text in page.texts["h3"] if text.startswith("Group")]
    assert headings == [f"Group {number}" for number in range(meta["num_groups"])]
    assert [int(value) for value in page.values("data-canvas")] == list(range(meta["total_images"]))
    data = json.loads("".join(page.texts["script"]).split("\n", 1)[0])
    positions = np.frombuffer(base64.b64decode(data["positions"]), "<i4").reshape(-1, 3)
    assert np.array_equal(positions, np.load(out / "src_patch_position.npy"))
    seconds = [(time - meta["start_pts_ns"]) / 1e9 for time in meta["frame_pts_ns"]]
    for frame, second in zip(meta["frame_ids"], seconds, strict=True):
        assert data["seconds"][str(frame)] == pytest.approx(second, abs=1e-3)


def test_a_report_is_no_part_of_the_result(clip: Clip, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options: dict[str, Any] = {"num_sampled_frames": 12}
    make(clip("plain"), out, **options)
    made = (out / "meta.json").stat().st_mtime_ns
    run_preinfer(str(clip("plain")), str(out), **options)
    assert (out / "meta.json").stat().st_mtime_ns == made
    run_preinfer(str(clip("plain")), str(out), overwrite=True, **options)
    assert not (out / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("hevc_odd_size", {}),
        ("vp9_hidden", {"canvas_format": "npy"}),
        ("hevc_raw", {"grouping_mode": "fixed", "group_size": 4}),
        ("hevc_rotated", {"no_resize": True}),
        ("variable_rate", {"canvas_format": "png"}),
    ],
)
def test_all_kinds_of_videos_have_one(name: str, options: dict[str, Any], clip: Clip, tmp_path: Path) -> None:
    page, meta = make(clip(name), tmp_path / "out", num_sampled_frames=12, min_group_frames=4, **options)
    assert page.texts["h1"] == [clip(name).name]
    assert meta["canvas_files"]


def test_a_name_cannot_change_the_page(clip: Clip, tmp_path: Path) -> None:
    video = Path(shutil.copy(clip("plain"), tmp_path / "<img src=x onerror=alert(1)>&amp;$title${x}.mp4"))
    page, _ = make(video, tmp_path / "out", num_sampled_frames=12)
    assert page.texts["h1"] == [video.name]
    assert not page.values("onerror")


def test_another_video_and_an_unfinished_folder_are_refused(clip: Clip, tmp_path: Path) -> None:
    run_preinfer(str(clip("plain")), str(tmp_path / "out"), num_sampled_frames=12)
    with pytest.raises(InvalidReferenceError, match="240 frames"):
        write_report(tmp_path / "out", clip("long"))
    with pytest.raises(MediaNotFoundError, match="no prepared video"):
        write_report(tmp_path, clip("plain"))


def test_the_command_writes_one_when_asked(clip: Clip, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--video", str(clip("plain")), "--out_dir", str(tmp_path / "out"), "--num_sampled_frames", "12"]
    assert cli.main([*words, "--quiet"]) == 0
    assert not (tmp_path / "out" / "report.html").exists()
    assert cli.main([*words, "--quiet", "--report"]) == 0  # of the run that it finds done
    assert (tmp_path / "out" / "report.html").exists()


BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
LOOK = """<script>addEventListener("error", event => document.body.dataset.error = event.message);
addEventListener("load", () => {
  const root = document.documentElement, look = getComputedStyle(document.body);
  Object.assign(document.body.dataset, {
    overflow: root.scrollWidth - root.clientWidth, height: root.scrollHeight, colour: look.color,
    behind: [getComputedStyle(root).backgroundColor, look.backgroundColor].join("|"),
    broken: [...document.images].filter(image => !image.naturalWidth).length,
  })})</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [560, 1400])
def test_a_browser_shows_the_page_light_and_dark_wide_and_narrow(width: int, report: Report, tmp_path: Path) -> None:
    text = (report[2] / "report.html").read_text(encoding="utf-8")
    page = tmp_path / "look.html"
    page.write_text(text.replace("<head>", f"<head>{LOOK}", 1), encoding="utf-8")
    seen = {}
    for scheme, number in (("dark", 0), ("light", 1)):
        words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / scheme}"]
        words += [f"--window-size={width},900", f"--blink-settings=preferredColorScheme={number}", "--dump-dom"]
        shown = subprocess.run(
            [str(BROWSER), *words, page.as_uri()], capture_output=True, text=True, timeout=120, check=True
        ).stdout
        seen[scheme] = dict(re.findall(r'data-(\w+)="([^"]*)"', shown[shown.index("<body") :].partition(">")[0]))
        assert "error" not in seen[scheme]
        assert int(seen[scheme]["overflow"]) <= 0, "nothing has to be scrolled for sideways"
        assert int(seen[scheme]["height"]) > 900
        assert seen[scheme]["broken"] == "0"
    assert seen["dark"]["colour"] != seen["light"]["colour"]
    assert seen["dark"]["behind"] != seen["light"]["behind"]
