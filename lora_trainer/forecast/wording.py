"""A forecast in sentences: lengths of time and sizes as people say them."""

from __future__ import annotations

from lora_trainer.language import English, translate

GB, MB = 1024**3, 1024**2
MINUTE, HOUR, DAY = 60, 3600, 86_400


def duration(seconds: float, language: str = English) -> str:
    """No more precise than it is known: "less than a minute", "34 min", "2 h 10 min", "3 days"."""
    if seconds < MINUTE:
        return translate("forecast.moment", language)
    if seconds < HOUR:
        return translate("forecast.minutes", language, minutes=max(1, round(seconds / MINUTE)))
    if seconds < 2 * DAY:
        hours, minutes = divmod(round(seconds / MINUTE / 5) * 5, 60)
        return translate("forecast.hours" if minutes else "forecast.hours_even", language, hours=hours, minutes=minutes)
    return translate("forecast.days", language, days=round(seconds / DAY))


def size(count: int) -> str:
    """Bytes in a unit that both languages write alike: "850 MB", "10.4 GB"."""
    if count < GB * 0.95:
        return f"{max(1, round(count / MB))} MB"
    gigabytes = count / GB
    return f"{gigabytes:.1f} GB" if gigabytes < 100 else f"{gigabytes:.0f} GB"


def time_text(seconds: float, known: bool, language: str = English) -> str:
    """How long it takes, and how that is known."""
    key = "time_measured" if known else "time_rough"
    return translate(f"forecast.{key}", language, time=duration(seconds, language))


def room_text(kind: str, need: int, free: int, language: str = English) -> str:
    """What is needed of ``kind`` (``memory`` or ``disk``) and what there is."""
    key = f"forecast.{kind}" if need <= free else f"forecast.{kind}_short"
    return translate(key, language, need=size(need), free=size(free))
