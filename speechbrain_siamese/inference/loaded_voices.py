"""A gallery's voices in memory, changed as its file is changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechbrain_siamese.inference.search import SEARCHES, Search


class LoadedVoices:
    """Everybody's voice, by name, to be searched.

    A change of one person costs the same among many as among few. Not for
    several threads at a time.

    Arguments
    ---------
    names : Sequence[str]
    voices : np.ndarray
        (people, dim), float32, in the order of the names.
    state : int
        Of the file that they are from.
    index : str
        One of ``SEARCHES``.

    Example
    -------
    >>> east, north = np.eye(2, dtype=np.float32)
    >>> voices = LoadedVoices(["sita"], east[None], 1, "exact")
    >>> voices.put("ram", north)
    >>> voices.nearest(north, 1)
    (['ram'], array([[0., 1.]], dtype=float32))
    """

    def __init__(
        self, names: Sequence[str], voices: np.ndarray, state: int, index: str
    ):
        self.state, self._index = state, index
        self._names = [*names]
        self._places = {name: place for place, name in enumerate(self._names)}
        self._search = self._searched(voices)

    def _searched(self, voices: np.ndarray) -> Search | None:
        return SEARCHES[self._index](voices) if len(voices) else None

    def __len__(self) -> int:
        """How many people there are."""
        return len(self._names)

    def nearest(
        self, query: np.ndarray, top: int
    ) -> tuple[list[str], np.ndarray]:
        """The most similar people.

        Arguments
        ---------
        query : np.ndarray
            (dim,), float32.
        top : int
            How many are asked for; as many as there are at most.

        Returns
        -------
        names : list of str
            The most similar one first; none where nobody is enrolled.
        voices : np.ndarray
            Theirs, (names, dim), float32.
        """
        if self._search is None:
            return [], np.zeros((0, len(query)), dtype=np.float32)
        products, places = self._search.search(query[None], top)
        # An index that misses some fills up with what is no product.
        near = places[0][products[0] > -np.inf]
        return [self._names[place] for place in near], self._search[near]

    def put(self, name: str, voice: np.ndarray) -> None:
        """Add a person, or change the voice of one.

        Arguments
        ---------
        name : str
        voice : np.ndarray
            (dim,), float32.
        """
        place = self._places.setdefault(name, len(self._names))
        if place == len(self._names):
            self._names.append(name)
        if self._search is None:
            self._search = self._searched(voice[None])
        else:
            self._search.put(place, voice)

    def remove(self, name: str) -> None:
        """Forget a person.

        Arguments
        ---------
        name : str
        """
        place, last = self._places.pop(name), self._names.pop()
        if last != name:
            self._names[place], self._places[last] = last, place
        if self._names:
            self._search.remove(place)
        else:
            self._search = None

    def rename(self, old: str, new: str) -> None:
        """Give a person another name.

        Arguments
        ---------
        old, new : str
        """
        place = self._places.pop(old)
        self._names[place], self._places[new] = new, place
