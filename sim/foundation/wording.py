"""How values and foreign names read in messages, pages and on terminals."""

import html


def plain(text: str) -> str:
    r"""Return a text whose control, format and surrogate characters are written out, so that none steers a terminal or splits a line.

    Examples:
        >>> plain("rig \x1b[31m7")
        'rig \\x1b[31m7'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def escaped(text: str) -> str:
    """Return a text as HTML holds it: signs of markup as entities, control characters written out.

    Examples:
        >>> escaped("<b>rig</b>")
        '&lt;b&gt;rig&lt;/b&gt;'
    """
    return html.escape(plain(text))


def as_markdown(text: str) -> str:
    """Return a text as a cell or a line of Markdown holds it: no HTML, no table's bar, no code's mark."""
    return escaped(text).replace("|", "\\|").replace("`", "'")


def with_unit(value: float, unit: str) -> str:
    """Return a value with its unit, alone where it has none.

    Examples:
        >>> with_unit(73.4, "°C"), with_unit(0.5, "1")
        ('73.4 °C', '0.5')
    """
    return f"{value:g}" if unit in ("", "1") else f"{value:g} {unit}"
