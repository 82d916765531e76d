"""Text of people in Markdown, so that it stays text.

What it does not do: shorten anything.
"""

from __future__ import annotations

import html


def one_line(text: str) -> str:
    """One line of text that Markdown and HTML leave alone.

    >>> one_line("a *b*\\n<c>")
    'a \\\\*b\\\\* &lt;c&gt;'
    """
    shown = html.escape(" ".join(text.split()), quote=False)
    for sign in "\\`*_[]|":
        shown = shown.replace(sign, f"\\{sign}") if sign != "`" else shown.replace(sign, "'")
    return shown
