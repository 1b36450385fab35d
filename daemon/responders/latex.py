"""Formulas as models write them, as a line that people can read: `\\frac{5}{2} \\times 3` is 5/2 × 3. Pure, total.

Only what fits into a line of text becomes one; of the rest, the commands lose their backslashes.
"""

from __future__ import annotations

import re

_SIGNS = {
    "times": "×", "cdot": "·", "div": "÷", "pm": "±", "mp": "∓", "ast": "*", "le": "≤", "leq": "≤", "ge": "≥",
    "geq": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "equiv": "≡", "sim": "~", "infty": "∞", "to": "→",
    "rightarrow": "→", "leftarrow": "←", "Rightarrow": "⇒", "implies": "⇒", "iff": "⇔", "circ": "°", "degree": "°",
    "pi": "π", "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "Delta": "Δ", "theta": "θ", "lambda": "λ",
    "mu": "μ", "sigma": "σ", "Sigma": "Σ", "omega": "ω", "Omega": "Ω", "sum": "Σ", "sqrt": "√", "cdots": "…",
    "ldots": "…", "dots": "…", "quad": " ", "qquad": " ", "euro": "€", "pounds": "£", "checkmark": "✓",
}  # fmt: skip
_UNSEEN = frozenset((
    "left", "right", "displaystyle", "limits", "big", "Big", "bigg", "Bigg", "boxed", "text", "textbf", "textit",
    "mathrm", "mathbf", "mathit", "operatorname", "begin", "end", "nonumber",
))  # fmt: skip
_MATH = re.compile(r"\\[A-Za-z]{2}|[=^×÷+*/<>≤≥≈]|\d\s*-\s*\d|\A\s*-?\d[\d.,]*\s*\Z|\A\s*[A-Za-z]\s*\Z")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}\\]{1,100})\}\s*\{([^{}\\]{1,100})\}")
_GROUPED = re.compile(
    r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|operatorname|boxed)\s*\{([^{}]{0,300})\}"
)
_ROOT = re.compile(r"\\sqrt\s*\{([^{}\\]{1,100})\}")
_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)")
_RAISED = re.compile(r"\^(?:\{([0-9+-]{1,8})\}|([0-9]))")
_LOWERED = re.compile(r"_(?:\{([0-9]{1,8})\}|([0-9]))")
_COMMAND = re.compile(r"\\([A-Za-z]{1,20})")
_SPACING = re.compile(r"\\[,;:! ]|~")
_ESCAPED = re.compile(r"\\([%$&#_{}|()\[\]])")
_SIMPLE = re.compile(r"\w+\Z")
_UP = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")
_DOWN = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def is_formula(text: str) -> bool:
    """Whether what stands between a formula's delimiters is one: escaped brackets look the same."""
    return _MATH.search(text) is not None


def readable(formula: str) -> str:
    """`formula` without its delimiters, as text on one line."""
    text = formula.replace("\\\\", "; ")
    for _ in range(2):  # one in another, as far as a line shows them
        text = _GROUPED.sub(r"\1", text)
        text = _FRACTION.sub(lambda found: f"{_one(found[1])}/{_one(found[2])}", text)
        text = _ROOT.sub(lambda found: f"√{_one(found[1])}", text)
    text = _DEGREES.sub("°", text)
    text = _RAISED.sub(lambda found: (found[1] or found[2]).translate(_UP), text)
    text = _LOWERED.sub(lambda found: (found[1] or found[2]).translate(_DOWN), text)
    text = _COMMAND.sub(_sign, _SPACING.sub(" ", text))
    text = _ESCAPED.sub(r"\1", text.replace("{", "").replace("}", "") if "\\{" not in text else text)
    return " ".join(text.replace("&", " ").replace("\\", "").split())


def _one(part: str) -> str:
    """`part` as one term."""
    part = part.strip()
    return part if _SIMPLE.match(part) else f"({part})"


def _sign(found: re.Match[str]) -> str:
    name = found[1]
    return "" if name in _UNSEEN else _SIGNS.get(name, name)
