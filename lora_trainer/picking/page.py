"""A picture to be, as a list of what is on it: it can be measured before any pixel is made."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from lora_trainer.picking.lettering import Font, drawable, width

Box: TypeAlias = "tuple[int, int, int, int]"  # left, top, right, bottom


@dataclass(frozen=True)
class Text:
    """One line, vertically centred on ``y``; ``align`` 0 begins at ``x``, 0.5 is centred there, 1 ends there."""

    x: float
    y: float
    text: str
    font: Font
    colour: str
    align: float = 0.0

    def paint(self, image: Image.Image, draw: ImageDraw.ImageDraw) -> None:
        x = self.x - self.align * width(self.text, self.font)
        # Pillow's bitmap font, 11 pixels high, knows no anchors.
        y = self.y if isinstance(self.font, ImageFont.FreeTypeFont) else self.y - 6
        draw.text((round(x), round(y)), drawable(self.text, self.font), fill=self.colour, font=self.font, anchor="lm")


@dataclass(frozen=True)
class Photo:
    """A picture file, fitted into a box: small ones enlarged pixel by pixel, large ones shrunk smoothly."""

    box: Box
    path: Path

    def paint(self, image: Image.Image, draw: ImageDraw.ImageDraw) -> None:
        size = (self.box[2] - self.box[0], self.box[3] - self.box[1])
        with Image.open(self.path) as file:
            picture = file.convert("RGB")
        if picture.size != size:
            method = Image.Resampling.NEAREST if picture.width < size[0] else Image.Resampling.LANCZOS
            picture = picture.resize(size, method)
        image.paste(picture, self.box[:2])


@dataclass(frozen=True)
class Panel:
    """A rectangle with round corners, filled, or outlined inwards when ``line`` is not 0."""

    box: Box
    colour: str
    radius: int = 0
    line: int = 0

    def paint(self, image: Image.Image, draw: ImageDraw.ImageDraw) -> None:
        fill, outline = (None, self.colour) if self.line else (self.colour, None)
        right, bottom = self.box[2] - 1, self.box[3] - 1  # Pillow counts the last pixel in
        draw.rounded_rectangle((*self.box[:2], right, bottom), self.radius, fill, outline, self.line)


@dataclass(frozen=True)
class Star:
    """A five-pointed star around a point; drawn, because not every font has one."""

    x: float
    y: float
    radius: float
    colour: str

    def paint(self, image: Image.Image, draw: ImageDraw.ImageDraw) -> None:
        points = []
        for i in range(10):
            reach, angle = self.radius * (1.0 if i % 2 == 0 else 0.42), math.pi * (i / 5 - 0.5)
            points.append((self.x + reach * math.cos(angle), self.y + reach * math.sin(angle)))
        draw.polygon(points, fill=self.colour)


@dataclass
class Page:
    """Its size and what is on it, from the back to the front."""

    width: int
    height: int = 0
    items: list[Text | Photo | Panel | Star] = field(default_factory=list)

    def paint(self, paper: str) -> Image.Image:
        """The picture itself."""
        image = Image.new("RGB", (self.width, self.height), paper)
        draw = ImageDraw.Draw(image)
        for item in self.items:
            item.paint(image, draw)
        return image
