"""The report is one sound file in two languages: nothing from outside, all escaped, readable by ear and in the dark."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lora_trainer.events import Started, Stepped, Validated
from lora_trainer.picking.choice import Choice, Reason
from lora_trainer.picking.report import STYLE, PreviewPicture, ReportData, SavedFile, report_html, write_report
from lora_trainer.settings import from_flat, to_flat

from .test_curves import luminance

VOID = {"meta", "img", "br", "line", "rect", "circle", "polyline"}
NASTY = '"><script>alert(1)</script> & \'"'


class Page(HTMLParser):
    """Every element with its attributes, and the text outside of style; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.open else ""

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def picture(path: Path, size: tuple[int, int] = (32, 32)) -> Path:
    Image.new("RGB", size, (200, 60, 40)).save(path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> ReportData:
    reasons = (
        Reason("held_out_better", {"epoch": 4, "loss": 0.083, "percent": 21.0}),
        Reason("weight_one", {"weight": 1.0}),
    )
    started = Started(name="hero", images=24, held_out=2, epochs=4, steps=40, device="cpu", checkpoint="sprites [abc]")
    return ReportData(
        name="hero",
        trigger="hero",
        lora="hero-000004",
        choice=Choice(4, 1.0, reasons, runner_up=(3, 0.8), sure=True),
        cover=picture(tmp_path / "cover.png"),
        started=started,
        steps=[Stepped(step=i, epoch=(i - 1) // 10 + 1, loss=0.1, lr=1e-4, seconds=90.0) for i in range(1, 41)],
        curve=[Validated(epoch=i, held_out=0.1 - 0.005 * i, train=0.1 - 0.01 * i) for i in range(5)],
        sheet=picture(tmp_path / "sheet.png", (900, 500)),
        previews=[PreviewPicture(i, "hero, red hat", picture(tmp_path / f"{i}.png")) for i in (4, 2, 3, 1)],
        settings=to_flat(from_flat({"name": "hero", "unet_lr": 0.0005, "grid_weights": [0.8, 1.0]})),
        files=[SavedFile(i, f"hero-{i:06d}.safetensors", 12_340_000) for i in range(1, 5)],
    )


def decoded(uri: str) -> Image.Image:
    head, body = uri.split(",", 1)
    assert re.fullmatch(r"data:image/(png|jpeg);base64", head)
    return Image.open(io.BytesIO(base64.b64decode(body, validate=True)))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_sound_and_needs_nothing_from_outside(data: ReportData, language: str) -> None:
    html = report_html(dataclasses.replace(data, language=language))
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>\n")
    assert page.all("html") == [{"lang": {"en": "en", "zh": "zh-Hans"}[language]}]
    assert not page.all("script") and not page.all("link") and not page.all("a")
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\son[a-z]+=", html.replace("base64,//", ""))
    assert "{" not in page.text and "report." not in page.text
    assert ("推荐：第 4 轮，权重 1" if language == "zh" else "Recommended: epoch 4, weight 1") in page.text


def test_pictures_have_words_and_tables_have_headers(data: ReportData) -> None:
    page = Page(report_html(data))
    assert len(page.all("img")) == 1 + 1 + 4
    assert all(image["alt"] and decoded(image["src"]).size for image in page.all("img"))
    assert all(head["scope"] in ("col", "row") for head in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) == 4
    chart = page.all("svg")[0]
    assert chart["role"] == "img" and "held-out" in chart["aria-label"]
    regions = [element for element in page.all("div") if element.get("role") == "region"]
    assert all(region["tabindex"] == "0" and region["aria-label"] for region in regions) and len(regions) == 2


def test_it_says_what_was_chosen_and_how_to_use_it(data: ReportData) -> None:
    text = Page(report_html(data)).text
    assert "<lora:hero-000004:1>, hero" in text
    assert "held-out loss is lowest at epoch 4: 0.083 there, 21 % below the base model's." in text
    assert "Runner-up: epoch 3, weight 0.8." in text
    assert "let the pictures decide" not in text
    assert "training: 60 min" in text and "images: 24" in text and "12.3\u00a0MB" in text
    unsure = dataclasses.replace(data, choice=dataclasses.replace(data.choice, sure=False, runner_up=None), trigger="")  # type: ignore[type-var]
    text = Page(report_html(unsure)).text
    assert "let the pictures decide" in text and "Runner-up" not in text and "<lora:hero-000004:1>\n" in text


def test_previews_come_in_the_order_of_epochs_with_the_chosen_one_marked(data: ReportData) -> None:
    html = report_html(data)
    assert re.findall(r"<figcaption>([^<]+)</figcaption>", html) == [
        "epoch 1",
        "epoch 2",
        "epoch 3",
        "epoch 4 ★ chosen",
    ]
    assert html.count('<figure class="chosen">') == 1


def test_settings_that_differ_come_first_and_all_are_listed(data: ReportData) -> None:
    html = report_html(data)
    first, every = re.findall(r"<table>\n<caption>(?:Settings that|All settings).*?</table>", html, re.DOTALL)
    assert re.findall(r"<code>(\w+)</code></th><td>([^<]*)", first) == [
        ("unet_lr", "0.0005"),
        ("grid_weights", "0.8; 1"),
        ("name", "hero"),
    ]
    assert len(re.findall("<code>", every)) == len(data.settings)
    assert ("sample_prompts", "–") in re.findall(r"<code>(\w+)</code></th><td>([^<]*)", every)


def test_everything_from_outside_is_escaped(data: ReportData, tmp_path: Path) -> None:
    assert data.started
    nasty = dataclasses.replace(
        data,
        name=NASTY,
        trigger=NASTY,
        lora=NASTY,
        started=dataclasses.replace(data.started, checkpoint=NASTY, device=NASTY),
        previews=[PreviewPicture(1, NASTY, tmp_path / "1.png")],
        settings={NASTY: NASTY, "prompts": (NASTY,)},
        files=[SavedFile(1, NASTY, 1)],
    )
    html = report_html(nasty)
    page = Page(html)
    assert "<script" not in html and not page.all("script")
    assert page.text.count(NASTY) >= 10
    assert any(image["alt"].endswith(NASTY) for image in page.all("img"))


def test_what_is_missing_is_left_out() -> None:
    page = Page(report_html(ReportData(name="hero")))
    assert [tag for tag, _ in page.elements if tag in ("h1", "h2", "section", "table", "img", "svg")] == ["h1"]


def test_a_heavy_sheet_is_shrunk_to_a_jpeg_and_a_light_one_kept(data: ReportData, tmp_path: Path) -> None:
    kept = Page(report_html(data)).all("img")[1]
    assert (decoded(kept["src"]).format, decoded(kept["src"]).size) == ("PNG", (900, 500))
    noise = np.random.default_rng(1).integers(0, 255, (200, 5000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "heavy.png", compress_level=1)
    heavy = Page(report_html(dataclasses.replace(data, sheet=tmp_path / "heavy.png"))).all("img")[1]
    assert (decoded(heavy["src"]).format, decoded(heavy["src"]).size) == ("JPEG", (4096, 164))


def test_small_previews_are_enlarged_evenly_and_large_ones_shrunk(data: ReportData, tmp_path: Path) -> None:
    previews = [PreviewPicture(1, "a", picture(tmp_path / "s.png", (100, 50)))]
    previews += [PreviewPicture(2, "a", picture(tmp_path / "l.png", (1024, 512)))]
    images = Page(report_html(dataclasses.replace(data, previews=previews))).all("img")[-2:]
    assert [(decoded(i["src"]).format, decoded(i["src"]).size) for i in images] == [
        ("PNG", (300, 150)),
        ("JPEG", (384, 192)),
    ]


def test_the_report_is_written_whole_in_utf_8(data: ReportData, tmp_path: Path) -> None:
    path = write_report(tmp_path / "run" / "report.html", dataclasses.replace(data, language="zh", name="像素英雄"))
    assert path.read_text(encoding="utf-8") == report_html(dataclasses.replace(data, language="zh", name="像素英雄"))
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_text_contrasts_with_its_paper_in_both_schemes() -> None:
    schemes = re.findall(r":root \{(.*?)\}", STYLE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", scheme))
        for ink in ("ink", "muted", "accent"):
            for paper in ("paper", "panel"):
                darker, lighter = sorted((luminance(colours[ink]), luminance(colours[paper])))
                assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink, paper)
