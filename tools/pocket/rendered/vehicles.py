"""Cars, vans, pick-ups and buses as small solid models, seen from any side, lit, on a road."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter
from tools.pocket.rendered.surfaces import Colour, clouds

Points = list[tuple[float, float, float]]  # metres: x forwards, y to the left, z up


@dataclass(frozen=True)
class Shape:
    """A vehicle's proportions in metres, from behind (x = 0) to the front.

    ``belt`` is the height of the lower body at the back, the waist and the bonnet; ``cabin`` the x positions of the
    rear window's foot and top, and of the windscreen's top and foot.
    """

    length: float
    width: float
    floor: float
    belt: tuple[float, float, float]
    cabin: tuple[float, float, float, float]
    roof: float
    wheel: float
    name: str = "car"


SHAPES = (
    Shape(4.5, 1.75, 0.25, (0.95, 0.95, 0.8), (0.45, 1.2, 2.6, 3.35), 1.42, 0.32),  # saloon
    Shape(3.9, 1.7, 0.25, (1.0, 0.95, 0.85), (0.05, 0.35, 2.2, 3.0), 1.5, 0.31),  # hatchback
    Shape(4.6, 1.85, 0.35, (1.15, 1.1, 1.05), (0.05, 0.3, 2.7, 3.3), 1.75, 0.38),  # off-road car
    Shape(4.3, 1.8, 0.18, (0.85, 0.8, 0.65), (0.3, 1.3, 2.1, 3.0), 1.2, 0.34),  # sports car
)
HELD_SHAPES = (
    Shape(4.7, 1.75, 0.25, (0.98, 0.95, 0.85), (0.05, 0.3, 2.7, 3.4), 1.45, 0.32),  # estate
    Shape(3.6, 1.65, 0.22, (0.85, 0.95, 0.8), (0.35, 0.9, 1.9, 2.5), 1.5, 0.3),  # small round car
)
OTHERS = (
    Shape(5.3, 1.9, 0.4, (1.1, 1.1, 1.1), (1.9, 2.05, 3.3, 3.9), 1.8, 0.4, "pickup truck"),
    Shape(5.0, 1.95, 0.3, (1.2, 1.15, 1.1), (0.02, 0.1, 3.6, 4.5), 2.0, 0.34, "van"),
    Shape(10, 2.5, 0.35, (1.4, 1.4, 1.4), (0.02, 0.08, 9.7, 9.95), 3.1, 0.5, "bus"),
)


@dataclass
class _Face:
    points: Points
    colour: Colour
    layer: int = 0  # details lie on the face below them


class _View:
    """A perspective camera that looks at the vehicle's middle."""

    def __init__(self, rng: random.Random, shape: Shape, size: int) -> None:
        yaw, pitch = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.choice([rng.uniform(3, 14), rng.uniform(10, 35)]))
        if rng.random() < 0.35:
            yaw = rng.choice([0.5, 1.5]) * np.pi + rng.gauss(0, 0.15)  # from the side
        forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        self._axes = np.stack([right, np.cross(right, forward), forward])
        self.eye = np.array([shape.length / 2, 0, shape.roof / 2]) - forward * shape.length * rng.uniform(1.5, 4)
        corners = [
            (x, y, z) for x in (0, shape.length) for y in (-shape.width / 2, shape.width / 2) for z in (0, shape.roof)
        ]
        flat = self._flat(corners)
        low, high = flat.min(0), flat.max(0)
        self._scale = size * rng.uniform(0.7, 0.96) / max(high - low)
        self._middle = (low + high) / 2
        self._size = size

    def _flat(self, points: Points) -> np.ndarray:
        seen = (np.asarray(points, float) - self.eye) @ self._axes.T  # (N, 3): right, up, depth
        return np.stack([seen[:, 0], -seen[:, 1]], 1) / seen[:, 2:]

    def project(self, points: Points) -> list[tuple[float, float]]:
        """Return pixel positions."""
        flat = (self._flat(points) - self._middle) * self._scale + self._size / 2
        return [(float(x), float(y)) for x, y in flat]


def _strip(profile: list[tuple[float, float]], half: float, colours: list[Colour], inset: float = 0.0) -> list[_Face]:
    """Faces across the vehicle between neighbouring points (x, z) of a side profile."""
    faces = []
    for (x1, z1), (x2, z2), colour in zip(profile, profile[1:], colours, strict=False):
        a, b = half - inset * z1, half - inset * z2
        faces.append(_Face([(x1, -a, z1), (x2, -b, z2), (x2, b, z2), (x1, a, z1)], colour))
    return faces


def _body(shape: Shape, paint: Colour) -> list[_Face]:
    half, (back, waist, bonnet) = shape.width / 2, shape.belt
    length, low = shape.length, shape.floor
    profile = [
        (0.05, low),
        (0, back * 0.6),
        (0.08, back),
        (length * 0.4, waist),
        (shape.cabin[3], waist),
        (length - 0.25, bonnet),
        (length, bonnet * 0.65),
        (length - 0.05, low),
    ]
    faces = _strip(profile, half, [paint] * 7)
    for side in (-half, half):
        faces.append(_Face([(x, side, z) for x, z in profile], paint))
    return faces


def _cabin(shape: Shape, paint: Colour, glass: Colour) -> list[_Face]:
    half, roof, waist = shape.width / 2 - 0.04, shape.roof, shape.belt[1]
    rear, rear_top, front_top, front = shape.cabin
    lean = 0.16 if shape.name != "bus" else 0.02
    top = half - lean
    profile = [(rear, waist), (rear_top, roof), (front_top, roof), (front, waist)]
    faces = []
    for (x1, z1), (x2, z2), colour in zip(profile, profile[1:], [glass, paint, glass], strict=False):
        a, b = (half if z1 == waist else top), (half if z2 == waist else top)
        faces.append(_Face([(x1, -a, z1), (x2, -b, z2), (x2, b, z2), (x1, a, z1)], colour))
    for sign in (-1, 1):
        faces.append(
            _Face(
                [
                    (rear, sign * half, waist),
                    (rear_top, sign * top, roof),
                    (front_top, sign * top, roof),
                    (front, sign * half, waist),
                ],
                paint,
            )
        )
        faces += _windows(shape, sign, half, top, glass)
    return faces


def _windows(shape: Shape, sign: int, half: float, top: float, glass: Colour) -> list[_Face]:
    """Side windows: two or three panes, many on a bus, none behind on a van."""
    rear, rear_top, front_top, front = shape.cabin
    low, high = shape.belt[1] + 0.05, shape.roof - 0.1
    panes = 8 if shape.name == "bus" else 2
    faces = []
    span_low, span_high = (rear + 0.15, front - 0.2), (rear_top + 0.08, front_top - 0.05)
    for i in range(panes):
        a, b = i / panes + 0.02, (i + 1) / panes - 0.02
        y_low, y_high = sign * (half + 0.005), sign * (top + 0.02)
        corners = [
            (span[0] + at * (span[1] - span[0]), y, z)
            for at, span, y, z in (
                (a, span_low, y_low, low),
                (a, span_high, y_high, high),
                (b, span_high, y_high, high),
                (b, span_low, y_low, low),
            )
        ]
        faces.append(_Face(corners, glass, 1))
    return faces


def _disc(x: float, y: float, z: float, radius: float, colour: Colour, layer: int) -> _Face:
    angles = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    return _Face([(x + radius * np.cos(t), y, z + radius * np.sin(t)) for t in angles], colour, layer)


def _details(rng: random.Random, shape: Shape) -> list[_Face]:
    """Wheels, lamps, grille, number plates and door lines."""
    half, r = shape.width / 2, shape.wheel
    hub = rng.choice([(190, 190, 195), (120, 120, 125), (60, 60, 62)])
    faces = []
    for x in (shape.length * 0.19, shape.length * 0.8):
        for sign in (-1, 1):
            y = sign * half
            faces += [
                _disc(x, y * 1.005, r, r * 1.15, (12, 12, 12), 1),
                _disc(x, y * 1.02, r, r, (28, 28, 30), 2),
                _disc(x, y * 1.03, r, r * 0.6, hub, 3),
            ]
    for x, lamp in ((-0.01, (190, 20, 20)), (shape.length + 0.01, (240, 240, 225))):
        z = (shape.belt[0] if x < 0 else shape.belt[2]) * 0.72
        for sign in (-1, 1):
            a, b = sign * half * 0.6, sign * half * 0.95
            faces.append(_Face([(x, a, z), (x, b, z), (x, b, z + 0.13), (x, a, z + 0.13)], lamp, 1))
        faces.append(
            _Face(
                [(x, -0.26, z - 0.2), (x, 0.26, z - 0.2), (x, 0.26, z - 0.08), (x, -0.26, z - 0.08)], (235, 235, 220), 2
            )
        )
    z = shape.belt[2] * 0.55
    faces.append(
        _Face(
            [
                (shape.length + 0.005, y, zz)
                for y, zz in ((-half * 0.5, z), (half * 0.5, z), (half * 0.5, z + 0.2), (-half * 0.5, z + 0.2))
            ],
            (25, 25, 28),
            1,
        )
    )
    return faces


def _normal(points: Points) -> np.ndarray:
    a, b, c = (np.array(p) for p in points[:3])
    normal = np.cross(b - a, c - a)
    return normal / (np.linalg.norm(normal) + 1e-9)


def draw_vehicle(rng: random.Random, shape: Shape, paint: Colour, size: int) -> Image.Image:
    """Draw a vehicle in that paint on a transparent square (mode RGBA), with its shadow."""
    big = size * 2
    view = _View(rng, shape, big)
    glass = rng.choice([(25, 30, 35), (60, 75, 85), (140, 165, 180)])
    faces = _body(shape, paint) + _cabin(shape, paint, glass) + _details(rng, shape)
    middle = np.array([shape.length / 2, 0, shape.roof * 0.45])
    light = np.array([rng.uniform(-1, 1), rng.uniform(-1, 1), 1.6])
    light /= np.linalg.norm(light)
    image = Image.new("RGBA", (big, big), (0, 0, 0, 0))
    shadow = Image.new("L", (big, big), 0)
    ground = [(x, y, 0.0) for x, y in ((-0.1, -1), (shape.length + 0.1, -1), (shape.length + 0.1, 1), (-0.1, 1))]
    ImageDraw.Draw(shadow).polygon(view.project([(x, y * shape.width / 2, z) for x, y, z in ground]), fill=190)
    image.putalpha(shadow.filter(ImageFilter.BoxBlur(big // 60)))
    draw = ImageDraw.Draw(image)
    visible = []
    for face in faces:
        centre, normal = np.mean(face.points, 0), _normal(face.points)
        outward = centre - middle
        if face.layer and abs(normal[0]) > 0.9:
            outward = np.array([outward[0], 0, 0])
        elif face.layer:
            outward = np.array([0, outward[1], 0])
        normal = normal if normal @ outward >= 0 else -normal
        if normal @ (view.eye - centre) > 0:
            visible.append(
                (
                    face.layer > 0,
                    face.layer,
                    -float(np.linalg.norm(view.eye - centre)),
                    face,
                    0.5 + 0.6 * max(0.0, float(normal @ light)),
                )
            )
    visible.sort(key=lambda item: item[:3])
    outline = rng.random() < 0.2
    for _, _, _, face, brightness in visible:
        colour = tuple(min(255, round(c * brightness + 6)) for c in face.colour)
        draw.polygon(view.project(face.points), (*colour, 255), outline=(20, 20, 20, 255) if outline else None)
    return _polished(image, rng).resize((size, size), Image.Resampling.BOX)


def _polished(image: Image.Image, rng: random.Random) -> Image.Image:
    """Add reflections of sky and ground."""
    alpha = image.getchannel("A")
    sheen = clouds(image.size, rng, rng.randint(3, 9)).point(
        [round(60 * max(0.0, (v - 150) / 105)) for v in range(256)]
    )
    shade = clouds(image.size, rng, rng.randint(2, 6)).point([205 + v * 50 // 255 for v in range(256)])
    colour = ImageChops.multiply(image.convert("RGB"), Image.merge("RGB", [shade] * 3))
    colour = ImageChops.screen(colour, Image.merge("RGB", [sheen] * 3))
    colour.putalpha(alpha)
    return colour
