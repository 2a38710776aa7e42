"""Texts on which an exported model is compared with the one that it was made from.

Of several kinds, lengths and scripts, because an error may show in one of them alone: a rounded
weight in rare words, a wrong mask only beside longer texts.
"""

from __future__ import annotations

from typing import Final

_PASSAGES: Final = (
    "How do I reset my password?",
    "The museum opens at nine and closes at five, except on Mondays.",
    "Water boils at a lower temperature on a mountain because the air pressure is lower there.",
    "def area(radius: float) -> float:\n    return 3.14159 * radius ** 2",
    "Le train pour Lyon part du quai numéro sept à dix heures.",
    "Die Lieferung verzögert sich um zwei Tage; wir bitten um Entschuldigung.",
    "El informe anual muestra un crecimiento del doce por ciento.",
    "昨日は雨が降りましたが、今日は晴れています。",
    "Сервер не отвечает на запросы уже десять минут.",
    "!!! 50% OFF -- today only, use code SAVE50 at checkout :-)",
    "404",
    "A vector index trades a little recall for a great deal of speed.",
    "The patient was given 20 mg twice a day, and the fever fell within three days.",
    "Whereas the parties wish to amend the agreement dated 4 March, they agree as follows.",
    "SELECT name, COUNT(*) FROM orders WHERE placed_at > '2024-01-01' GROUP BY name;",
    "Bees tell each other where flowers are by dancing; the angle gives the direction.",
    "The quarterback threw for three hundred yards and two touchdowns in the second half.",
    "ERROR connection refused by 10.0.0.12:5432 (attempt 3 of 5), next try in 800 ms",
    "Fold the egg whites in gently, or the cake will not rise.",
    "Interest rates were left as they were, but the bank hinted at a cut in the autumn.",
)


def sample_texts() -> list[str]:
    """60 texts, from one word to some hundreds."""
    pairs = [f"{left} {right}" for left, right in zip(_PASSAGES, _PASSAGES[7:] + _PASSAGES[:7], strict=True)]
    long = [" ".join(_PASSAGES[at:] + _PASSAGES[:at])[: 150 + 90 * at] for at in range(len(_PASSAGES))]
    return [*_PASSAGES, *pairs, *long]
