"""What the server counts, in the text format of Prometheus."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping

__all__ = ["Metrics", "metric_lines"]

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds

Labels = tuple[tuple[str, str], ...]


def metric_lines(name: str, kind: str, text: str, values: Iterable[tuple[Mapping[str, str], float]]) -> list[str]:
    """Return the lines of one metric.

    Parameters
    ----------
    kind
        ``counter`` or ``gauge``.
    text
        What it counts.
    values
        Its values with their labels.
    """
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    return lines + [f"{name}{_braces(tuple(labels.items()))} {value:g}" for labels, value in values]


def _braces(labels: Labels) -> str:
    quoted = ((name, value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")) for name, value in labels)
    inside = ",".join(f'{name}="{value}"' for name, value in quoted)
    return f"{{{inside}}}" if inside else ""


class Metrics:
    """The requests that were answered, and how long that took."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, int], int] = defaultdict(int)
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))
        self._seconds: dict[str, float] = defaultdict(float)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request.

        Parameters
        ----------
        route
            One of the server's own paths; never what a client wrote.
        """
        with self._lock:
            self._requests[route, status] += 1
            self._buckets[route][bisect_left(_BOUNDS, seconds)] += 1
            self._seconds[route] += seconds

    def lines(self) -> list[str]:
        """Return the lines of these metrics."""
        with self._lock:
            requests = sorted(self._requests.items())
            lines = metric_lines(
                "clipcli_requests_total", "counter", "Requests that were answered.",
                [({"route": route, "status": str(status)}, count) for (route, status), count in requests],
            )  # fmt: skip
            name = "clipcli_request_seconds"
            lines += [f"# HELP {name} Time to answer a request.", f"# TYPE {name} histogram"]
            for route, counts in sorted(self._buckets.items()):
                total = 0
                for bound, count in zip((*map("{:g}".format, _BOUNDS), "+Inf"), counts, strict=True):
                    total += count
                    lines.append(f"{name}_bucket{_braces((('route', route), ('le', bound)))} {total}")
                lines.append(f"{name}_sum{_braces((('route', route),))} {self._seconds[route]:.6f}")
                lines.append(f"{name}_count{_braces((('route', route),))} {total}")
        return lines
