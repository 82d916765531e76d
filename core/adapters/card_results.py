"""What the model card says of the result: the main measure with its interval, then all measures, before and after.

What it does not do: claim anything that the job did not measure.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.adapters.card_text import one_line
from core.evaluation.measures import LABELS, WHOLE_ANSWERS, main_value
from core.evaluation.metrics import LOWER_IS_BETTER
from core.spec import Score, Status

_SIDES = ("the model as it came", "**with this adapter**")
_ROUGH = "Token F1 is a rough measure: an answer can be right in other words."


def results_section(status: Status, data: str) -> str:
    """The section as Markdown; `data` names the data set in a sentence."""
    scores = (status.before, status.after)
    measured = status.after or status.before
    main = measured.metric if measured else "exact_match"
    lines = ["## Results", "", *_main_table(status, main), *_all_measures(scores)]
    if measured is not None:
        lines += ["", f"Measured on {measured.rows} held-out rows of {data} that it did not train on;"]
        lines.append("what it does on other pictures was not measured.")
        lines += _remarks(measured)
    lines += _which_weights(status)
    return "\n".join(lines)


def _which_weights(status: Status) -> Iterator[str]:
    """The step whose weights the adapter holds, where that needs words."""
    at = f"step {status.step:,} of {status.total_steps:,}"
    if status.state == "failed":
        come_apart = status.kept_step is not None  # of an error of any other kind the last weights are saved
        ended = "came apart" if come_apart else "broke off"
        yield from ("", f"The training {ended} after {at}.")
        if come_apart:
            yield f"The adapter holds the weights of step {status.kept_step:,}, the last that were sound."
        yield from _not_asked(status)
        return
    yield from _not_asked(status)
    if status.kept_step is not None and status.kept_step != status.step:
        yield from ("", f"The adapter holds the weights of step {status.kept_step:,}, which were the best.")
    if status.state != "finished" and status.step < status.total_steps:
        yield from ("", f"The training was ended early, at {at}.")


def _not_asked(status: Status) -> Iterator[str]:
    """Why nothing is said of the adapter's answers."""
    if status.after is None and (status.unmeasured or status.state == "failed"):
        why = f": {one_line(status.unmeasured)}" if status.unmeasured else ""
        yield from ("", f"What the adapter answers was not measured{why}.")


def _main_table(status: Status, main: str) -> Iterator[str]:
    """The main measure, how many answers were right to the letter, and the loss."""
    yield f"| | {LABELS[main]} | correct | held-out loss |"
    yield "| --- | --- | --- | --- |"
    for label, score in zip(_SIDES, (status.before, status.after), strict=True):
        yield f"| {label} | {_score(score, main)} |"
    if status.majority is not None and main in WHOLE_ANSWERS:
        yield f"| {LABELS['majority']} | {_percent(status.majority)} | | |"


def _score(score: Score | None, main: str) -> str:
    if score is None:
        return "not measured | | "
    loss = "" if score.loss is None else f"{score.loss:.3f}"
    value = main_value(score.metrics, main, score.exact_match)
    shown = "not measured" if value is None else _percent(value)
    if value is not None and score.interval is not None:
        low, high = score.interval
        shown += f" ({100 * low:.1f} to {_percent(high)})"
    return f"{shown} | {score.correct} of {score.rows} | {loss}"


def _all_measures(scores: tuple[Score | None, Score | None]) -> Iterator[str]:
    """A line a measure, where there are others than the main one."""
    names = dict.fromkeys(name for score in scores if score for name in score.metrics if name != "majority")
    if len(names) < 2:
        return
    yield from ("", "| measure | as it came | with this adapter |", "| --- | --- | --- |")
    for name in names:
        values = (score.metrics.get(name) if score else None for score in scores)
        lower = ", lower is better" if name in LOWER_IS_BETTER else ""
        yield f"| {LABELS.get(name, name)}{lower} | " + " | ".join(map(_known, values)) + " |"


def _remarks(measured: Score) -> Iterator[str]:
    """How the numbers are to be read."""
    if measured.interval is not None:
        yield "The range in brackets is the 95% interval: how far chance in the choice of these rows reaches."
    if measured.metric in LOWER_IS_BETTER:
        yield f"Of the {LABELS[measured.metric]}, lower is better."
    if measured.metric == "token_f1":
        yield _ROUGH


def _known(value: float | None) -> str:
    return "" if value is None else _percent(value)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
