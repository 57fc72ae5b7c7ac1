"""Which input channels each output channel sees: random, equally many, and no input left out in vain."""

import numpy as np


def add_links(links: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Adds random links until each output sees ``number`` inputs; those that are there stay.

    Inputs that no output sees replace one that several see in a new link, as long as there is such a one.

    Args:
        links: which inputs each output sees, bool of shape (inputs, outputs).
        number: how many each is to see, from what it sees now to all.
        seed: of the choice.

    Returns:
        The links, bool of shape (inputs, outputs).

    Example:
        >>> links = add_links(np.zeros((6, 4), bool), 2, seed=0)
        >>> links.sum(0).tolist(), bool(links.any(1).all())
        ([2, 2, 2, 2], True)
    """
    # With the number: what grows in steps draws anew at each.
    generator = np.random.default_rng([seed, number])
    order = np.argsort(np.where(links, -1.0, generator.random(links.shape)), axis=0)
    grown = np.zeros_like(links)
    np.put_along_axis(grown, order[:number], True, axis=0)
    uses = grown.sum(1)
    for unseen in np.flatnonzero(uses == 0):
        free = np.argwhere(grown & ~links & (uses > 1)[:, None])
        if not len(free):
            break
        seen, output = generator.choice(free)
        grown[seen, output], grown[unseen, output] = False, True
        uses[seen], uses[unseen] = uses[seen] - 1, 1
    return grown
