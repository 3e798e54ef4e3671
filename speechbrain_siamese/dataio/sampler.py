"""Batches of P speakers x K clips, each clip a random window.

Hermans et al. 2017, "In defense of the triplet loss": with K clips of each of
P speakers a batch holds similar and dissimilar pairs in a known ratio. Every
draw follows from seed, epoch and step, so that a resumed training sees what an
uninterrupted one would have seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from speechbrain.utils.logger import get_logger

from speechbrain_siamese.dataio.draws import Draw, WindowSampler

logger = get_logger(__name__)


class SpeakerBatchSampler(WindowSampler):
    """Yield batches of ``Draw``: P speakers, K windows of each.

    Arguments
    ---------
    speakers : Sequence[str]
        Speaker of each manifest row.
    stretches : Sequence[tuple[int, int]]
        First sample and the sample after the last of each row.
    sample_rate : int
        Samples per second of the manifest's files.
    window_samples : int
        Samples of a window.
    speakers_per_batch : int
        P; all speakers where there are fewer.
    clips_per_speaker : int
        K, at least 2, or a batch would hold no similar pair. Where there are
        fewer speakers than P each gives more, so that batches keep their
        size: fewer clips would be a weaker batch normalisation.
    seed : int
        Of every draw, together with epoch and step.
    steps : int or None
        Batches of an epoch; None for as many windows as the speech fills.
    sources : Sequence[str] or None
        Where each row comes from. Each source gives the same share of the
        draws: other people's recordings are told apart by their sound alone,
        so a batch needs several voices of each source. None for one source.
    full_share_seconds : float
        Seconds of speech beyond which a speaker is not drawn more often: ten
        hours must not crowd out the rest. Below it draws grow with the speech
        there is: ten seconds repeated as often as ten minutes would be learnt
        by heart.
    rank, world_size : int
        As for ``WindowSampler``. Each process gets other speakers of a batch.

    Raises
    ------
    ValueError
        If there are fewer than two speakers, P or K are below 2, or the
        processes cannot get as many speakers each.

    Example
    -------
    >>> sampler = SpeakerBatchSampler(
    ...     speakers=["a", "a", "b"],
    ...     stretches=[(0, 9000), (0, 500), (100, 9000)],
    ...     sample_rate=1000,
    ...     window_samples=2000,
    ...     speakers_per_batch=2,
    ...     clips_per_speaker=2,
    ... )
    >>> batches = list(sampler)
    >>> len(batches), len(batches[0])
    (3, 4)
    """

    def __init__(
        self,
        speakers: Sequence[str],
        stretches: Sequence[tuple[int, int]],
        sample_rate: int,
        window_samples: int,
        speakers_per_batch: int,
        clips_per_speaker: int,
        seed: int = 0,
        steps: int | None = None,
        sources: Sequence[str] | None = None,
        full_share_seconds: float = 60.0,
        rank: int = 0,
        world_size: int = 1,
    ):
        if min(speakers_per_batch, clips_per_speaker) < 2:
            raise ValueError(
                f"speakers_per_batch is {speakers_per_batch} and "
                f"clips_per_speaker is {clips_per_speaker}: both must be at "
                "least 2, or a batch would hold no dissimilar or no similar "
                "pair"
            )
        super().__init__(
            speakers, stretches, window_samples, seed, rank, world_size
        )
        clips = speakers_per_batch * clips_per_speaker
        self.speakers_per_batch = min(speakers_per_batch, len(self.rows_of))
        self.clips_per_speaker = max(
            clips_per_speaker, round(clips / self.speakers_per_batch)
        )
        if self.speakers_per_batch < speakers_per_batch:
            logger.info(
                "speakers_per_batch is %d, but there are %d training "
                "speakers: every batch holds %d clips of each of them",
                speakers_per_batch,
                self.speakers_per_batch,
                self.clips_per_speaker,
            )
        if self.speakers_per_batch % world_size:
            raise ValueError(
                f"a batch holds {self.speakers_per_batch} of "
                f"{len(self.rows_of)} training speakers, which {world_size} "
                "processes cannot share: set speakers_per_batch to a multiple "
                f"of {world_size} that is no larger"
            )
        lengths = self.bounds[:, 1] - self.bounds[:, 0]
        seconds = np.array(
            [
                lengths[rows].sum() / sample_rate
                for rows in self.rows_of.values()
            ]
        )
        share = np.minimum(seconds, full_share_seconds)
        if sources is not None:
            # A speaker with rows of several sources belongs to the first.
            source_of = np.array(
                [sources[rows[0]] for rows in self.rows_of.values()]
            )
            for source in set(source_of):
                share[source_of == source] /= share[source_of == source].sum()
        self._speaker_odds = share / share.sum()
        clips = self.speakers_per_batch * self.clips_per_speaker
        self.steps = steps or math.ceil(
            lengths.sum() / (clips * window_samples)
        )

    def batches(self) -> Iterator[list[Draw]]:
        """Yield the batches of the epoch, for all processes together."""
        for step in range(self.steps):
            yield self.draw_batch(self.epoch, step)

    def draw_batch(self, epoch: int, step: int) -> list[Draw]:
        """Draw one batch; it follows from seed, epoch and step alone.

        Arguments
        ---------
        epoch : int
        step : int
            From 0.

        Returns
        -------
        list of Draw
            P x K windows, the K of one speaker beside each other.
        """
        generator = np.random.default_rng([self.seed, epoch, step])
        names = list(self.rows_of)
        chosen = generator.choice(
            len(names),
            size=self.speakers_per_batch,
            replace=False,
            p=self._speaker_odds,
        )
        return [
            draw
            for index in chosen
            for draw in self.draw_clips(
                names[index], self.clips_per_speaker, generator
            )
        ]
