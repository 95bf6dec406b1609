"""What `make bench` found: on the screen, as JSON, and in docs/performance.md."""

import json
import re
from typing import Any

from shared.config.env_constants import PROJECT_ROOT

LATEST = PROJECT_ROOT / "benchmarks" / "results" / "latest.json"
PAGE = PROJECT_ROOT / "docs" / "performance.md"
PLOT = PROJECT_ROOT / "docs" / "images" / "performance.svg"
_MARK = re.compile(r"(<!-- bench: from here -->\n).*?(<!-- bench: to here -->)", re.S)
_NAMES = {
    "hub": "Creator Hub",
    "django": "Django, stock ASGI",
    "fastapi": "FastAPI",
    "bolt": "django-bolt",
    "raw": "no framework",
}


def write(figures: dict[str, Any], machine: dict[str, Any], *, rounds: int, seconds: int, connections: int) -> None:
    """Print the table; keep the figures, the plot and the page's part when all servers were measured."""
    operations = {name: values for name, values in figures.items() if name != "two_workers"}
    table = _table(operations)
    claims = _claims(figures)
    print("\n".join([*table, "", *claims]))
    if any(set(values) != set(_NAMES) for values in operations.values()):
        return
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(json.dumps(figures, indent=2) + "\n")
    _plot(operations)
    setting = (
        f"{rounds} rounds of {seconds} s, {connections} connections, {machine['cores']} cores ({machine['cpu']}), "
        f"Python {machine['python']}. Each server is one process on one core; load, Postgres and Redis share the other."
    )
    part = "\n".join([setting, "", *table, "", *claims, ""])
    page = PAGE.read_text()
    PAGE.write_text(_MARK.sub(lambda found: f"{found[1]}{part}{found[2]}", page))


def _table(operations: dict[str, Any]) -> list[str]:
    lines = ["| operation | server | requests/s | p50 ms | p95 ms | p99 ms | CPU us/request |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for operation, servers in operations.items():
        for name, found in servers.items():
            latencies = " | ".join(f"{found[key]:.1f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
            lines.append(f"| {operation} | {_NAMES[name]} | {found['rps']:.0f} | {latencies} | {found['cpu_us']:.0f} |")
    return lines


def _claims(figures: dict[str, Any]) -> list[str]:
    """The hub against each of the others, as ratios of requests per second."""
    lines = []
    for operation, servers in figures.items():
        if operation == "two_workers":
            ratio = servers["cpu_per_request_ratio"]
            lines.append(f"- CPU for a list with two workers, over that with one: {ratio:.2f}")
        elif "hub" in servers:
            rps = servers["hub"]["rps"]
            ratios = [f"{rps / found['rps']:.2f} x {_NAMES[name]}" for name, found in servers.items() if name != "hub"]
            slower = [_NAMES[name] for name, found in servers.items() if found["p99_ms"] > servers["hub"]["p99_ms"]]
            lines.append(f"- {operation}: {', '.join(ratios)}; p99 lower than {', '.join(slower) or 'nobody'}")
    return lines


def _plot(operations: dict[str, Any]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "hub", "font.family": "sans-serif"})
    from matplotlib import pyplot as plt

    shown = [operation for operation in operations if operation != "live"]
    figure, axes = plt.subplots(1, len(shown), figsize=(3 * len(shown), 3.2))
    for axis, operation in zip(axes, shown, strict=True):
        found = operations[operation]
        bars = axis.barh([_NAMES[name] for name in found], [one["rps"] for one in found.values()], color="#9aa5b1")
        bars[list(found).index("hub")].set_color("#2f6f4f")
        axis.bar_label(bars, fmt="%.0f", padding=2, fontsize=8)
        axis.margins(x=0.2)
        axis.invert_yaxis()
        axis.set_title(f"{operation}, requests/s", fontsize=10)
        axis.spines[["top", "right", "bottom"]].set_visible(False)
        axis.tick_params(left=False, bottom=False, labelbottom=False, labelsize=8)
        if axis is not axes[0]:
            axis.set_yticklabels([])
    figure.tight_layout()
    PLOT.parent.mkdir(exist_ok=True)
    figure.savefig(PLOT, metadata={"Date": None})
