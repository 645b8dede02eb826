"""The report of a run: one HTML file that needs nothing else, to keep beside the LoRA or to send to somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from PIL import Image

from lora_trainer import __version__
from lora_trainer.disk import write_whole
from lora_trainer.events import Started, Stepped, Validated
from lora_trainer.language import Chinese, English, translate
from lora_trainer.picking.choice import Choice
from lora_trainer.picking.curves import curve_text, loss_curve
from lora_trainer.picking.pictures import sheet_uri, thumbnail_uri
from lora_trainer.picking.plan import weight_text
from lora_trainer.settings import fields

STYLE = Path(__file__).with_name("report.css")


@dataclass(frozen=True)
class PreviewPicture:
    """A preview that was drawn after an epoch."""

    epoch: int
    prompt: str
    path: Path


@dataclass(frozen=True)
class SavedFile:
    """A LoRA file that the run left behind."""

    epoch: int
    name: str
    size: int  # bytes


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """All that a report shows; what is missing is left out. ``cover`` is a picture drawn with the chosen LoRA."""

    name: str
    language: str = English
    trigger: str = ""
    lora: str = ""
    choice: Choice | None = None
    cover: Path | None = None
    started: Started | None = None
    steps: Sequence[Stepped] = ()
    curve: Sequence[Validated] = ()
    sheet: Path | None = None
    previews: Sequence[PreviewPicture] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    files: Sequence[SavedFile] = ()


def write_report(path: Path, data: ReportData) -> Path:
    """Write the report to ``path``."""
    write_whole(path, report_html(data))
    return path


def report_html(data: ReportData) -> str:
    """The whole page."""
    sections: tuple[Callable[[ReportData], str], ...] = (_choice, _usage, _sheet, _curve, _previews, _settings, _files)
    body = "\n".join(part for section in sections if (part := section(data)))
    return f"""<!DOCTYPE html>
<html lang="{"zh-Hans" if data.language == Chinese else "en"}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_say(data, "title", name=data.name)}</title>
<style>
{STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<h1>{escape(data.name)}</h1>
<p class="facts muted">{_facts(data)}</p>
</header>
<main>
{body}
</main>
<footer><p class="muted">LoRA Trainer {__version__}</p></footer>
</body>
</html>
"""


def _say(data: ReportData, key: str, **values: object) -> str:
    """A text of the report in its language, safe to stand in HTML."""
    return escape(translate(f"report.{key}", data.language, **values))


def _facts(data: ReportData) -> str:
    """One line under the title: on what, from how much and for how long it was trained."""
    said = []
    if data.started:
        for name in ("checkpoint", "images", "held_out", "device"):
            said.append(_say(data, f"fact_{name}", value=getattr(data.started, name)))
    if data.steps:
        said.append(_say(data, "fact_steps", value=len(data.steps)))
        seconds = sum(step.seconds for step in data.steps)
        minutes = f"{seconds / 60:.0f}" if seconds >= 600 else f"{seconds / 60:.1f}"
        said.append(_say(data, "fact_minutes", value=minutes))
    return " ".join(f"<span>{fact}</span>" for fact in said)


def _choice(data: ReportData) -> str:
    if not data.choice:
        return ""
    choice = data.choice
    heading = _say(data, "chosen", epoch=choice.epoch, weight=weight_text(choice.weight))
    reasons = "\n".join(f"<li>{escape(reason.text(data.language))}</li>" for reason in choice.reasons)
    alt = _say(data, "cover_alt", name=data.lora)
    cover = f'<img src="{thumbnail_uri(data.cover)}" alt="{alt}">\n' if data.cover else ""
    notes = []
    if choice.runner_up:
        epoch, weight = choice.runner_up
        notes.append(_say(data, "runner_up", epoch=epoch, weight=weight_text(weight)))
    notes += [] if choice.sure else [_say(data, "unsure")]
    said = "\n".join(f"<p>{note}</p>" for note in notes)
    return f"""<section class="choice">
{cover}<div>
<h2><span class="star" aria-hidden="true">★</span> {heading}</h2>
<ul>
{reasons}
</ul>
{said}
</div>
</section>"""


def _usage(data: ReportData) -> str:
    if not data.choice or not data.lora:
        return ""
    call = f"<lora:{data.lora}:{weight_text(data.choice.weight)}>"
    prompt = f"{call}, {data.trigger}" if data.trigger else call
    return f"""<section>
<h2>{_say(data, "usage")}</h2>
<p>{_say(data, "usage_prompt")}</p>
<pre><code>{escape(prompt)}</code></pre>
<p>{_say(data, "usage_weight")}</p>
</section>"""


def _sheet(data: ReportData) -> str:
    if not data.sheet:
        return ""
    with Image.open(data.sheet) as sheet:
        narrowest = min(4096, round(sheet.width * 0.45))  # below it, labels are too small to read: it scrolls
    alt = _say(data, "sheet_alt")
    if data.choice:
        weight = weight_text(data.choice.weight)
        alt += " " + _say(data, "sheet_chosen", epoch=data.choice.epoch, weight=weight)
    return f"""<section>
<h2>{_say(data, "sheet")}</h2>
<p>{_say(data, "sheet_how")}</p>
<div class="wide sheet" tabindex="0" role="region" aria-label="{_say(data, "sheet")}">
<img src="{sheet_uri(data.sheet)}" alt="{alt}" style="min-width: {narrowest}px">
</div>
</section>"""


def _curve(data: ReportData) -> str:
    drawing = loss_curve(data.steps, data.curve, data.choice.epoch if data.choice else None, data.language)
    if not drawing:
        return ""
    rows = [(point.epoch, (_loss(point.held_out), _loss(point.train))) for point in data.curve]
    table = _table(data, "curve", rows, ("epoch", "held_out", "train"))
    folded = f"<details><summary>{_say(data, 'curve_table')}</summary>\n{table}\n</details>" if rows else ""
    return f"""<section>
<h2>{_say(data, "curve")}</h2>
<p>{escape(curve_text(data.steps, data.curve, data.language))}</p>
<div class="wide" tabindex="0" role="region" aria-label="{_say(data, "curve")}">
{drawing}
</div>
{folded}
</section>"""


def _loss(value: float) -> str:
    """A loss for a table; a dash where it was not measured."""
    return f"{value:.4g}" if value > 0 else "–"


def _table(data: ReportData, caption: str, rows: Iterable[tuple[int, Sequence[str]]], columns: Sequence[str]) -> str:
    """A table whose rows begin with their epoch; the chosen one is marked."""
    head = "".join(f'<th scope="col">{_say(data, f"column_{column}")}</th>' for column in columns)
    lines = []
    for epoch, values in rows:
        chosen = data.choice is not None and epoch == data.choice.epoch
        cells = "".join(f"<td>{escape(value)}</td>" for value in values)
        opening, star = ('<tr class="chosen">', f" ★ {_say(data, 'mark')}") if chosen else ("<tr>", "")
        lines.append(f'{opening}<th scope="row">{epoch}{star}</th>{cells}</tr>')
    body = "\n".join(lines)
    return f"""<table>
<caption>{_say(data, f"caption_{caption}")}</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>"""


def _previews(data: ReportData) -> str:
    if not data.previews:
        return ""
    parts = [f"<section>\n<h2>{_say(data, 'previews')}</h2>"]
    for prompt in dict.fromkeys(preview.prompt for preview in data.previews):
        parts.append(f'<h3>{escape(prompt)}</h3>\n<div class="previews">')
        own = [preview for preview in data.previews if preview.prompt == prompt]
        parts += [_preview(data, preview) for preview in sorted(own, key=lambda preview: preview.epoch)]
        parts.append("</div>")
    return "\n".join([*parts, "</section>"])


def _preview(data: ReportData, preview: PreviewPicture) -> str:
    chosen = data.choice is not None and preview.epoch == data.choice.epoch
    opening, star = ('<figure class="chosen">', f" ★ {_say(data, 'mark')}") if chosen else ("<figure>", "")
    alt = _say(data, "preview_alt", epoch=preview.epoch, prompt=preview.prompt)
    caption = _say(data, "preview" if preview.epoch else "preview_base", epoch=preview.epoch)
    picture = f'<img src="{thumbnail_uri(preview.path)}" alt="{alt}">'
    return f"{opening}{picture}<figcaption>{caption}{star}</figcaption></figure>"


def _settings(data: ReportData) -> str:
    if not data.settings:
        return ""
    known = fields()
    changed = [name for name, value in data.settings.items() if name in known and value != known[name][1].default]
    shown = {name: _plain(value) for name, value in data.settings.items()}
    every = _settings_table(data, "caption_settings", shown)
    few = _settings_table(data, "caption_changed", {name: shown[name] for name in changed}) if changed else ""
    return f"""<section>
<h2>{_say(data, "settings")}</h2>
{few}
<details><summary>{_say(data, "settings_all", count=len(shown))}</summary>
{every}
</details>
</section>"""


def _settings_table(data: ReportData, caption: str, values: Mapping[str, str]) -> str:
    row = '<tr><th scope="row"><code>{}</code></th><td>{}</td></tr>'
    body = "\n".join(row.format(escape(name), escape(value)) for name, value in values.items())
    head = "".join(f'<th scope="col">{_say(data, f"column_{column}")}</th>' for column in ("setting", "value"))
    return f"""<table>
<caption>{_say(data, caption)}</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>"""


def _plain(value: object) -> str:
    """A setting's value for a reader; numbers without needless digits, an empty one as a dash."""
    if isinstance(value, (tuple, list)):
        return "; ".join(map(_plain, value)) or "–"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) or "–"


def _files(data: ReportData) -> str:
    if not data.files:
        return ""
    rows = [(file.epoch, (file.name, f"{file.size / 1e6:.1f}\u00a0MB")) for file in data.files]
    table = _table(data, "files", rows, ("epoch", "file", "size"))
    return f"<section>\n<h2>{_say(data, 'files')}</h2>\n{table}\n</section>"
