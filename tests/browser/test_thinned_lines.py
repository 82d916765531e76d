"""Lines of many points are drawn with few, and no peak, no gap and no newest value is lost."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Tab

pytestmark = [pytest.mark.browser, pytest.mark.slow]
THINNED = """async () => {
  const { thin } = await import(new URL("studio/static/js/plot_parts.js", document.baseURI).href);
  const y = Array.from({ length: 5000 }, (_, i) => Math.sin(i / 40));
  [y[1234], y[3210], y[4321]] = [50, -50, null];
  const x = y.map((_, i) => i);
  const few = y.slice(0, 300);
  return { thinned: thin(x, y), few: thin(x.slice(0, 300), few)[1].length };
}"""


def test_peaks_gaps_and_the_newest_value_stay(tab: Tab) -> None:
    found = tab.page.evaluate(THINNED)
    steps, values = found["thinned"]
    assert len(steps) == len(values) <= 820
    drawn = dict(zip(steps, values, strict=True))
    assert (drawn[1234], drawn[3210]) == (50, -50)
    assert drawn[4321] is None
    assert steps[-1] == 4999
    assert steps == sorted(set(steps))
    assert found["few"] == 300, "few points are drawn as they are"
