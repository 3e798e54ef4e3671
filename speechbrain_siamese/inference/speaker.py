"""Speaker verification with an exported Siamese model."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from speechbrain.inference.speaker import SpeakerRecognition
from torch.nn.functional import normalize

from speechbrain_siamese.inference.files import FileReading
from speechbrain_siamese.inference.fingerprint import model_fingerprint
from speechbrain_siamese.inference.gallery import Gallery
from speechbrain_siamese.inference.hub import SafeForm
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.processing.score_norm import (
    evened,
    noise_of,
    voices_of,
)
from speechbrain_siamese.processing.scoring import MEASURES
from speechbrain_siamese.utils.calibration import Calibration
from speechbrain_siamese.utils.decision import Decision, NormalisedDecision


@dataclass(frozen=True)
class Comparison:
    """What two recordings say about being of one voice.

    Arguments
    ---------
    score : float
        Cosine similarity of the embeddings (or the export's ``measure``).
    same : bool
        Whether the normalised score is above its threshold; the score, where
        the export has no normalised one.
    llr : float
        Natural logarithm of how much more probable that score is if both are
        one voice than if they are two.
    probability : float
        Of one voice, after the LLR and the prior.
    normalised : float or None
        How alike they are, less how alike both are to strangers; it does not
        grow with the length of the recordings, as the cosine does: see
        ``processing/score_norm.py``. None where the export does not score by
        cosine, or is too old to have a threshold of it.
    """

    score: float
    same: bool
    llr: float
    probability: float
    normalised: float | None


class SiameseRecognition(FileReading, SafeForm, SpeakerRecognition):
    """SpeechBrain's ``SpeakerRecognition`` with the export's own threshold.

    Beyond the stock class it decides at the threshold that training chose,
    takes ``pathlib.Path``, reads m4a, webm and mp4, keeps files of the same
    name apart, computes no gradients, and tells how probable one voice is
    (``compare_files``).

    Arguments
    ---------
    *args, **kwargs
        As for SpeechBrain's ``Pretrained``; use ``from_hparams``, or
        ``from_pretrained`` for what a stranger made: it runs no code of it.

    Example
    -------
    >>> model = SiameseRecognition.from_hparams(
    ...     source="results/siamese/1986/export"
    ... )  # doctest: +SKIP
    >>> score, same = model.verify_files("a.m4a", "b.wav")  # doctest: +SKIP
    """

    HPARAMS_NEEDED = ("threshold", "audio_normalizer")

    @torch.no_grad()
    def encode_batch(
        self,
        wavs: torch.Tensor,
        wav_lens: torch.Tensor | None = None,
        normalize: bool = False,
    ) -> torch.Tensor:
        """Encode waveforms as embeddings, without gradients.

        Arguments
        ---------
        wavs : torch.Tensor
            Mono waveforms at the model's rate, (batch, time) or (time,).
        wav_lens : torch.Tensor or None
            Relative lengths, (batch,); what lies behind is ignored.
        normalize : bool
            Subtract the mean embedding of the training speech.

        Returns
        -------
        torch.Tensor
            Embeddings of length 1 (unless normalized), (batch, 1, dim).

        Raises
        ------
        ValueError
            If an item is too short, silent, or holds NaN or infinite samples.
        """
        self.mods.eval()
        wavs = _sound(wavs, wav_lens)
        # SpeechBrain makes the context of ``precision``, and leaves it at that.
        with self.inference_ctx:
            return super().encode_batch(wavs, wav_lens, normalize).float()

    @torch.no_grad()
    def encode_voices(
        self, wavs: torch.Tensor, wav_lens: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Encode waveforms for decisions and galleries.

        They have the directions of the embeddings that ``encode_batch`` gives;
        their lengths take into account how much sound there was, see
        ``as_voices``.

        Arguments
        ---------
        wavs, wav_lens
            As for ``encode_batch``.

        Returns
        -------
        torch.Tensor
            (batch, 1, dim); embeddings, where ``measure`` is ``euclidean``.

        Raises
        ------
        ValueError
            As ``encode_batch``.
        """
        encoder = self.mods.embedding_model
        if self.measure != "cosine":
            return self.encode_batch(wavs, wav_lens)
        if not isinstance(encoder, DenseNetEncoder):
            found = normalize(self.encode_batch(wavs, wav_lens), dim=-1)
            return self.as_voices(found, torch.ones(len(found)).to(found))
        self.mods.eval()
        wavs = _sound(wavs, wav_lens).to(self.device).float()
        with self.inference_ctx:
            wavs = wavs.reshape(-1, wavs.shape[-1])
            lengths = torch.ones(len(wavs)) if wav_lens is None else wav_lens
            feats = self.mods.compute_features(wavs)
            feats = self.mods.mean_var_norm(feats, lengths.to(wavs))
            means, counts = encoder.mean_embeddings(feats)
            return self.as_voices(means.float(), counts)

    def as_voices(
        self, means: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        """Give means over windows the length that what of them is voice has 1.

        Arguments
        ---------
        means : torch.Tensor
            Over windows whose embeddings are of length 1, (items, …, dim).
        counts : torch.Tensor
            Of the windows, (items,).

        Returns
        -------
        torch.Tensor
            As ``processing.score_norm.voices_of`` gives them, (items, …, dim);
            of length 1, where the export has no normalised scores.
        """
        if self.normalised_decision is None:
            return normalize(means, dim=-1)
        flat = voices_of(
            means.reshape(len(counts), -1),
            counts,
            self.normalised_decision.likeness,
        )
        return flat.reshape(means.shape)

    def verify_batch(
        self,
        wavs1: torch.Tensor,
        wavs2: torch.Tensor,
        wav1_lens: torch.Tensor | None = None,
        wav2_lens: torch.Tensor | None = None,
        threshold: float | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Verify pairs of waveforms.

        Arguments
        ---------
        wavs1, wavs2 : torch.Tensor
            (batch, time)
        wav1_lens, wav2_lens : torch.Tensor or None
            Relative lengths, (batch,).
        threshold : float or None
            Score above which a pair is one voice. None decides as
            ``compare_files``, which takes into account that the score grows
            with the length of what is compared.

        Returns
        -------
        score : torch.Tensor
            Cosine similarity, (batch, 1); where the export's ``measure`` is
            ``euclidean``, the distance with its sign turned round.
        prediction : torch.Tensor
            True for one voice, (batch, 1), bool.

        Raises
        ------
        ValueError
            As ``encode_batch``.
        """
        return self._decide(
            self.encode_voices(wavs1, wav1_lens),
            self.encode_voices(wavs2, wav2_lens),
            threshold,
        )

    def _decide(self, first, second, threshold):
        """Score of each pair of voices, and whether it is one."""
        # As SpeechBrain does, one may be held against many.
        pairs = torch.broadcast_tensors(first[:, 0], second[:, 0])
        voices, rows = torch.cat(pairs).cpu(), np.arange(len(pairs[0]))
        trials = rows, rows + len(rows)
        scores = MEASURES[self.measure](voices, *trials)
        if threshold is not None:
            same = scores > threshold
        elif self.normalised_decision:
            same = self.normalised_scores(voices, *trials) > (
                self.normalised_decision.threshold
            )
        else:
            same = scores > self.hparams.threshold
        score, same = (
            torch.from_numpy(own)[:, None].to(first.device)
            for own in (scores, same)
        )
        return score, same

    def normalised_scores(
        self, voices: torch.Tensor, enrol: np.ndarray, test: np.ndarray
    ) -> np.ndarray:
        """Scores that do not grow with length, less those with strangers.

        Arguments
        ---------
        voices : torch.Tensor
            As ``encode_voices`` and ``voice_of_file`` give them,
            (utterances, dim), on the CPU.
        enrol, test : np.ndarray
            Positions in ``voices``, integers, (trials,).

        Returns
        -------
        np.ndarray
            (trials,), see ``processing/score_norm.py``.
        """
        decision, noise = self.normalised_decision, noise_of(voices)
        return evened(
            self.hparams.cohort.normalised(voices, enrol, test),
            noise[enrol] + noise[test],
            decision.middle,
            decision.usual,
        )

    def verify_files(
        self,
        path_x: str | Path,
        path_y: str | Path,
        threshold: float | None = None,
        savedir: str | Path | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Verify two files.

        Arguments
        ---------
        path_x, path_y : str or Path
            As for ``load_audio``.
        threshold : float or None
            As for ``verify_batch``.
        savedir : str, Path or None
            Where fetched files are put.

        Returns
        -------
        score : torch.Tensor
            As of ``verify_batch``, (1,).
        prediction : torch.Tensor
            True for one voice, (1,), bool.

        Raises
        ------
        ValueError
            As ``embed_file``.
        """
        score, prediction = self._decide(
            self.voice_of_file(path_x, savedir),
            self.voice_of_file(path_y, savedir),
            threshold,
        )
        return score[0], prediction[0]

    def compare_files(
        self, path_x: str | Path, path_y: str | Path, prior: float = 0.5
    ) -> Comparison:
        """Compare two files: score, decision, likelihood ratio, probability.

        Arguments
        ---------
        path_x, path_y : str or Path
            As for ``load_audio``.
        prior : float
            Probability of one voice before anything was heard; 0.5 where
            nothing is known, less where one is looked for among many.

        Returns
        -------
        Comparison

        Raises
        ------
        ValueError
            If a file is no audio, too short or silent, or the export was
            written before calibration was part of it.
        """
        voices = torch.cat(
            [self.voice_of_file(path)[:, 0].cpu() for path in (path_x, path_y)]
        )
        (found,) = self._compared(voices, [0], [1], prior)
        return found

    def compare_pairs(
        self,
        pairs: Sequence[tuple[str | Path, str | Path]],
        prior: float = 0.5,
    ) -> tuple[list[Comparison | None], dict[str, str]]:
        """Compare many pairs; each file is embedded once, in full batches.

        Arguments
        ---------
        pairs : Sequence of tuple of str or Path
            Local files.
        prior : float
            As for ``compare_files``.

        Returns
        -------
        comparisons : list of Comparison or None
            In the order of the pairs; None where a file cannot be used.
        unusable : dict of str : str
            Reasons of the files that cannot be used.

        Raises
        ------
        ValueError
            If no pair is given, no file at all can be used, or the export was
            written before calibration was part of it.

        Example
        -------
        >>> found, unusable = model.compare_pairs(
        ...     [("a.m4a", "b.wav"), ("a.m4a", "c.wav")]
        ... )  # doctest: +SKIP
        """
        # An export without calibration is told before files are read.
        _ = self.decision
        voices, unusable = self.voices_of_files(
            [path for pair in pairs for path in pair]
        )
        rows = {name: row for row, name in enumerate(voices)}
        places = [(rows.get(str(x)), rows.get(str(y))) for x, y in pairs]
        whole = [
            number for number, pair in enumerate(places) if None not in pair
        ]
        found: list[Comparison | None] = [None] * len(pairs)
        if whole:
            compared = self._compared(
                torch.from_numpy(np.stack([*voices.values()])),
                *np.array([places[number] for number in whole]).T,
                prior,
            )
            for number, own in zip(whole, compared, strict=True):
                found[number] = own
        return found, unusable

    def _compared(self, voices, first, second, prior) -> list[Comparison]:
        """Compare rows of voices, (utterances, dim), pair by pair."""
        decision = self.decision
        pairs = np.asarray(first), np.asarray(second)
        scores = weighed = MEASURES[self.measure](voices, *pairs)
        if self.normalised_decision:
            decision = self.normalised_decision
            weighed = self.normalised_scores(voices, *pairs)
        return [
            Comparison(
                score=float(score),
                same=bool(own > decision.threshold),
                llr=float(decision.calibration.llr(own)),
                probability=float(decision.calibration.probability(own, prior)),
                normalised=float(own) if self.normalised_decision else None,
            )
            for score, own in zip(scores, weighed, strict=True)
        ]

    def gallery(self, path: str | Path, index: str = "exact") -> Gallery:
        """Open the people whom this model can name, or begin with nobody.

        Arguments
        ---------
        path : str or Path
            Of the gallery's file.
        index : str
            As for ``Gallery``.

        Returns
        -------
        Gallery
            To enrol and to identify people.
        """
        return Gallery(self, path, index)

    @functools.cached_property
    def fingerprint(self) -> str:
        """What tells this model's embeddings from another's."""
        return model_fingerprint(self)

    @property
    def embedding_dim(self) -> int:
        """Numbers of an embedding."""
        return self.hparams.cohort.voices.shape[1]

    @property
    def measure(self) -> str:
        """What scores are: ``cosine`` or ``euclidean``."""
        return getattr(self.hparams, "measure", "cosine")

    @property
    def decision(self) -> Decision:
        """Threshold and calibration of scores, as training chose them.

        Raises
        ------
        ValueError
            If the export has no calibration.
        """
        if not hasattr(self.hparams, "calibration_slope"):
            raise ValueError(
                "this export holds no calibration: it was written before that "
                "was part of it. Give the training command again: a finished "
                "training only writes its export anew"
            )
        return Decision(
            self.hparams.threshold_target,
            self.hparams.threshold,
            Calibration(
                self.hparams.calibration_slope,
                self.hparams.calibration_intercept,
            ),
        )

    @property
    def normalised_decision(self) -> NormalisedDecision | None:
        """The same of normalised scores; None where there are none.

        Exports of before have none, and those that do not score by cosine.
        """
        if getattr(self.hparams, "norm_threshold", None) is None:
            return None
        return NormalisedDecision(
            self.hparams.threshold_target,
            self.hparams.norm_threshold,
            Calibration(self.hparams.norm_slope, self.hparams.norm_intercept),
            self.hparams.norm_likeness,
            self.hparams.norm_middle,
            self.hparams.norm_usual,
        )


def _sound(wavs, wav_lens):
    """Zeros behind the end of each item, which is where the encoder ends it.

    Refuses items without any sound, and those that are no numbers.
    """
    if wav_lens is not None:
        ends = (wav_lens.to(wavs.device) * wavs.shape[-1]).round()
        positions = torch.arange(wavs.shape[-1], device=wavs.device)
        wavs = wavs.masked_fill(positions >= ends[:, None], 0.0)
    items = wavs.reshape(-1, wavs.shape[-1])
    broken = ~items.isfinite().all(dim=-1)
    if broken.any():
        # Their frames would be left out as if they were padding.
        raise ValueError(
            f"item {int(broken.nonzero()[0])} of the batch holds NaN or "
            "infinite samples, expected finite ones: look at how they were "
            "read or computed"
        )
    silent = (items == 0).all(dim=-1)
    if silent.any():
        raise ValueError(
            f"item {int(silent.nonzero()[0])} of the batch is silent: it "
            "holds zeros only, so there is no voice to know"
        )
    return wavs
