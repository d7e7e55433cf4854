"""From pairs of slices to a ratio and how sure it is."""
import random
import statistics

PHASE_TOLERANCE = 1.15


def moved(probes):
    """The host changed its speed between the slices of a pair."""
    return max(probes) > PHASE_TOLERANCE * min(probes)


def kept(pairs):
    """Pairs (a, b, moved) of steady phases; all of them when too few are."""
    steady = [(a, b) for a, b, shaken in pairs if not shaken]
    return steady if len(steady) >= max(3, len(pairs) // 2) else [(a, b) for a, b, _ in pairs]


def interval(ratios):
    """95 % bootstrap interval of the median; of one or two ratios their range, which promises nothing."""
    if len(ratios) < 3:
        return [min(ratios), max(ratios)]
    dice = random.Random(1)
    medians = sorted(statistics.median(dice.choices(ratios, k=len(ratios))) for _ in range(2000))
    return [medians[49], medians[1949]]


def summary(ours, theirs):
    """Medians of both, median of the pairs' ratios, interval."""
    if min(ours) < 0 or min(theirs) <= 0:
        raise ValueError(f"nothing to divide: {ours} {theirs}")
    ratios = [o / t for o, t in zip(ours, theirs, strict=True)]
    low, high = interval(ratios)
    return {"ours": significant(statistics.median(ours)), "theirs": significant(statistics.median(theirs)),
            "ratio": significant(statistics.median(ratios)), "ci": [significant(low), significant(high)]}


def significant(value, digits=5):
    return float(f"{value:.{digits}g}")
