"""What limits a pipeline and what was measured to change it, in sentences made of measured numbers only."""

from __future__ import annotations

from collections.abc import Sequence

from streamdehaze.bench.report import Measurement

_WORTH_SAYING = 1.03
_BUSY = 0.6
"""Share of the time above which a stage limits the others; below it the ends of a short clip or other programs do."""


def verdict(rows: Sequence[Measurement], loads: dict[str, float], cores: int) -> str:
    """What limits one pipeline.

    Args:
        rows: of one size, network size, batch, checkpoint and engine, the pipeline's among them.
        loads: share of its time each stage of the pipeline worked.
        cores: the process may use.
    """
    parts = {row.part: row.timing for row in rows}
    pipeline = parts["pipeline"]
    busiest = max(loads, key=lambda stage: loads[stage])
    others = ", ".join(f"{stage} {load:.0%}" for stage, load in loads.items() if stage != busiest)
    bound = f"{busiest}-bound" if loads[busiest] > _BUSY else "bound by none of its stages"
    sentence = f"{pipeline.fps:.1f} fps, {bound}: {busiest} worked {loads[busiest]:.0%} of the time ({others})"
    inside = {name: 1000 / parts[name].fps for name in ("shrink", "engine", "fit")}
    whole = sum(inside.values())
    if busiest == "dehaze":
        first = max(inside, key=lambda name: inside[name])
        sentence += f"; alone, {first} is {inside[first] / whole:.0%} of a frame's {whole:.1f} ms there"
    if pipeline.cores_used > 0.9 * cores:
        sentence += f"; all {cores} cores are busy ({pipeline.cores_used:.1f}), so whatever costs processor time counts"
    return sentence


def changes(row: Measurement, rows: Sequence[Measurement]) -> str:
    """What made the pipeline of `row` faster, among all rows that differ from it in one setting; may be "".

    A gain counts if it is larger than the spread of the rounds of the two.
    """
    found = []
    for other in sorted(rows, key=lambda other: -other.timing.fps):
        gain = other.timing.fps / row.timing.fps
        if (other.part, other.size) != (row.part, row.size) or gain < _WORTH_SAYING:
            continue
        if not other.timing.faster_than(row.timing):
            continue
        facts = {
            f"network size {other.network_size}": other.network_size != row.network_size,
            f"checkpoint {other.checkpoint}": other.checkpoint != row.checkpoint,
            f"batch {other.batch}": other.batch != row.batch,
            f"engine {other.engine}": other.engine != row.engine,
        }
        differing = [fact for fact, differs in facts.items() if differs]
        if len(differing) == 1:
            found.append(f"; {differing[0]} gave {other.timing.fps:.1f} fps ({gain:.2f} ×)")
    return "".join(found)


def calmed(label: str, pipeline: Measurement, steady: Measurement) -> str:
    """How much less a steady pipeline flickers than one without memory; "" if nothing stood still."""
    a, b = pipeline.stillness or {}, steady.stillness or {}
    added = [facts.get("added_change") for facts in (a, b)]
    wobble = [facts.get("brightness_wobble") for facts in (a, b)]
    if None in (*added, *wobble):
        return ""
    return (
        f"{label}: each frame for itself, dehazing adds {added[0]:.2f} levels to still pixels from frame to frame and "
        f"the brightness wobbles by {wobble[0]:.2f}; steady, {added[1]:.2f} and {wobble[1]:.2f}"
    )
