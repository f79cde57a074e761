"""How much of a codebook is in use: figures out of how often each code was the nearest."""

from dataclasses import dataclass

import numpy as np

EDGES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, float('inf'))  # shares, in units of 1 / codes


@dataclass(frozen=True)
class CodebookHealth:
    """Figures of one codebook over some tokens.

    Attributes:
        codes: size of the codebook.
        tokens: how many tokens were counted.
        dead: codes without a token.
        usage: share of codes with a token, 0 to 1.
        perplexity: exp of the entropy of the codes' shares: the number of codes that, used
            evenly, would be as varied; 1 to `codes`.
        top_share: share of the tokens that the most frequent code has.
        histogram: ('0', codes without a token), ('<1/4', codes with less than a quarter of an
            even share), and so on.
    """

    codes: int
    tokens: int
    dead: int
    usage: float
    perplexity: float
    top_share: float
    histogram: tuple[tuple[str, int], ...]

    def as_text(self) -> str:
        bins = '  '.join(f'{label}: {count}' for label, count in self.histogram)
        return (
            f'codebook: {self.codes - self.dead} of {self.codes} codes used ({self.usage:.1%}), '
            f'perplexity {self.perplexity:.1f}, {self.dead} dead, most frequent '
            f'{self.top_share:.2%} of {self.tokens} tokens; codes by share (1 = even): {bins}'
        )


def codebook_health(hits: np.ndarray) -> CodebookHealth:
    """hits (K,): how many tokens each code got.

    Raises:
        ValueError: no codes, or a negative count.
    """
    hits = np.asarray(hits, dtype=np.float64)
    if not hits.size or hits.min() < 0:
        raise ValueError('codebook_health: hits must be counts, one for each code')
    tokens = hits.sum()
    shares = hits / max(tokens, 1)
    used = shares[shares > 0]
    relative = used * len(hits)
    labels = ('<1/4', '1/4-1/2', '1/2-1', '1-2', '2-4', '>4')
    counts, _ = np.histogram(relative, bins=np.array(EDGES))
    return CodebookHealth(
        codes=len(hits),
        tokens=int(tokens),
        dead=int(len(hits) - len(used)),
        usage=len(used) / len(hits),
        perplexity=float(np.exp(-(used * np.log(used)).sum())) if len(used) else 0.0,
        top_share=float(shares.max()),
        histogram=(
            ('0', int(len(hits) - len(used))),
            *((label, int(count)) for label, count in zip(labels, counts, strict=True)),
        ),
    )
