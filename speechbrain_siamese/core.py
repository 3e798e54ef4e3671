"""SiameseBrain: SpeechBrain's training loop for a Siamese encoder.

One batch is P speakers x K clips; each clip is encoded once and the
contrastive loss sees every pair. A classifier over the training speakers is
learnt beside it, which steadies the training and gives the export its
``classify_file``.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import speechbrain as sb
import torch
from speechbrain.utils.distributed import run_on_main
from speechbrain.utils.logger import get_logger
from torch.nn.utils.rnn import pad_sequence

from speechbrain_siamese.dataio.trial_table import TrialTable
from speechbrain_siamese.lobes.features import subtract_mean
from speechbrain_siamese.nnet.losses import all_pairs
from speechbrain_siamese.nnet.param_groups import (
    freeze,
    named_modules,
    parameter_groups,
)
from speechbrain_siamese.processing.scoring import MEASURES
from speechbrain_siamese.utils.metrics import (
    score_distances,
    verification_metrics,
)
from speechbrain_siamese.utils.plots import (
    plot_distances,
    plot_scores,
    save_figure,
)

logger = get_logger(__name__)


class SiameseBrain(sb.Brain):
    """Train and measure a Siamese encoder.

    Modules: ``compute_features``, ``embedding_model`` (any encoder of
    SpeechBrain's calling convention), ``classifier``; ``mean_var_norm`` where
    the encoder needs it; ``compute_cost`` where the loss has weights.
    Hyperparameters: ``compute_cost`` (called as ``loss(embeddings, labels)``,
    with a third argument if there is a ``miner``), ``classifier_cost``,
    ``pair_weight``, ``classifier_weight``, ``measure`` (``cosine``, or
    ``euclidean`` for embeddings that are not brought to unit length),
    ``frozen``, ``lr_factors``, ``speed_perturb``, ``fea_augment``,
    ``lr_schedule``, ``history``, ``seed``, ``number_of_epochs``,
    ``max_minutes``, ``window_samples``, ``train_loggers``,
    ``figures_folder``.

    Set ``trials`` before ``fit`` and ``evaluate``: a ``TrialTable`` by
    question (``valid``, and those of the test).
    """

    trials: dict[str, TrialTable]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.test_scores: dict[str, np.ndarray] = {}
        # Before the modules are wrapped for several processes.
        freeze(self.modules, self.hparams.frozen)

    def compute_forward(self, batch, stage):
        """Encode the clips of a batch, each once.

        Arguments
        ---------
        batch : PaddedBatch
            With ``sig`` (batch, time).
        stage : sb.Stage

        Returns
        -------
        torch.Tensor
            Embeddings, (batch, 1, dim).
        """
        batch = batch.to(self.device)
        wavs, lengths = batch.sig
        if stage != sb.Stage.TRAIN:
            return self.encode(wavs, lengths)
        # The window was drawn longer, so that the fastest speed still fills it.
        if self.hparams.speed_perturb:
            wavs = self.hparams.speed_perturb(wavs)
        feats = self.modules.compute_features(
            wavs[:, : self.hparams.window_samples]
        )
        lengths = torch.ones_like(lengths)
        if "mean_var_norm" in self.modules:
            feats = self.modules.mean_var_norm(feats, lengths)
        else:
            feats = subtract_mean(feats)
        # A masked stretch is set to zero, which is the mean only now.
        if self.hparams.fea_augment:
            feats, lengths = self.hparams.fea_augment(feats, lengths)
        return self._embed(feats, lengths)

    def encode(self, wavs: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Encode waveforms as inference does.

        Arguments
        ---------
        wavs : torch.Tensor
            (batch, time)
        lengths : torch.Tensor
            Relative, (batch,).

        Returns
        -------
        torch.Tensor
            Embeddings, (batch, 1, dim).
        """
        feats = self.modules.compute_features(wavs)
        if "mean_var_norm" in self.modules:
            feats = self.modules.mean_var_norm(feats, lengths)
        return self._embed(feats, lengths)

    def _embed(self, feats, lengths):
        """Embeddings, of unit length unless their distance is measured."""
        embeddings = self.modules.embedding_model(feats, lengths)
        if self.hparams.measure == "euclidean":
            return embeddings
        return torch.nn.functional.normalize(embeddings, dim=-1)

    def compute_objectives(self, predictions, batch, stage):
        """Contrastive loss over all pairs plus the classifier's, weighted.

        Arguments
        ---------
        predictions : torch.Tensor
            Embeddings, (batch, 1, dim).
        batch : PaddedBatch
            With ``spk_id_encoded`` in training.
        stage : sb.Stage

        Returns
        -------
        torch.Tensor
            The loss; outside training the loss is computed over the trials at
            the end of the stage, and 0 is returned here.
        """
        embeddings = predictions.squeeze(1)
        if stage != sb.Stage.TRAIN:
            for wav, embedding in zip(
                batch.wav, embeddings.float().cpu(), strict=True
            ):
                self.embeddings[self._trial_name(wav)] = embedding
            return torch.zeros((), device=self.device)
        labels = batch.spk_id_encoded.data.to(self.device).reshape(-1)
        loss = self.hparams.pair_weight * self._pair_loss(embeddings, labels)
        with torch.no_grad():
            pairs = getattr(self.hparams.compute_cost, "pairs", all_pairs)
            distances, same = pairs(embeddings, labels)
            self._count("similar", distances[same])
            self._count("dissimilar", distances[~same])
        if self.hparams.classifier_weight:
            loss = loss + self.hparams.classifier_weight * (
                self.hparams.classifier_cost(
                    self.modules.classifier(predictions.float()),
                    labels.unsqueeze(1),
                )
            )
        return loss

    def _pair_loss(self, embeddings, labels):
        """The loss, over the pairs that a miner picks where there is one."""
        cost, miner = self.hparams.compute_cost, self.hparams.miner
        # Half precision would lose the small distances that matter most.
        embeddings = embeddings.float()
        if miner is None:
            return cost(embeddings, labels)
        return cost(embeddings, labels, miner(embeddings, labels))

    def init_optimizers(self):
        """Give each group of weights its learning rate."""
        self.optimizer = self.opt_class(
            parameter_groups(
                self.raw_modules, self.hparams.lr_factors, self.hparams.lr
            )
        )
        self.optimizers_dict = {"opt_class": self.optimizer}
        self.checkpointer.add_recoverable("optimizer", self.optimizer)

    def _count(self, side, distances):
        sums = self.hparams.history.sums
        for key, value in (
            (f"{side}_sum", float(distances.double().sum())),
            (f"{side}_pairs", distances.numel()),
        ):
            sums[key] = sums.get(key, 0) + value

    def on_fit_start(self):
        """Restore the checkpoint; end at once if the time was over already."""
        super().on_fit_start()
        self._started = time.monotonic() - self.hparams.history.seconds
        if self._out_of_time():
            counter = self.hparams.epoch_counter
            counter.limit = counter.current

    def on_fit_batch_start(self, batch, should_step):
        """Set the learning rate and every random state of the step.

        SpeechBrain does not restore random states: what the augmenters draw
        has to follow from seed, epoch and step.
        """
        # What batch normalisation knows is part of a frozen module too.
        for module in named_modules(
            self.raw_modules, self.hparams.frozen, "frozen"
        ):
            module.eval()
        epoch = self.hparams.epoch_counter.current
        sequence = np.random.SeedSequence([self.hparams.seed, epoch, self.step])
        state = int(sequence.generate_state(1)[0])
        random.seed(state)
        np.random.seed(state)
        torch.manual_seed(state)
        self.hparams.history.seconds = time.monotonic() - self._started
        if should_step:
            self.hparams.lr_schedule(self.optimizer, self.progress())

    def progress(self) -> float:
        """Share of the training that is over, 0 to 1, by steps or by time."""
        epoch = self.hparams.epoch_counter.current - 1
        steps = len(self.train_sampler)
        done = (epoch + (self.step - 1) / steps) / self.hparams.number_of_epochs
        if self.hparams.max_minutes:
            spent = self.hparams.history.seconds / 60
            done = max(done, spent / self.hparams.max_minutes)
        return min(1.0, done)

    def _out_of_time(self) -> bool:
        """Whether ``max_minutes`` are over."""
        minutes = self.hparams.max_minutes
        return bool(minutes) and self.hparams.history.seconds >= 60 * minutes

    @property
    def _optimizer_step_limit_exceeded(self):
        """End the epoch, and then the training, when the time is over."""
        return self._out_of_time() or super()._optimizer_step_limit_exceeded

    def on_stage_start(self, stage, epoch=None):
        """Forget the embeddings of the stage before."""
        del epoch
        self.embeddings: dict[str, torch.Tensor] = {}

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Score the trials, log, draw, and keep the checkpoint.

        Arguments
        ---------
        stage : sb.Stage
        stage_loss : float
            Mean loss of the stage's batches.
        epoch : int or None
        """
        history = self.hparams.history
        if stage == sb.Stage.TRAIN:
            self.train_stats = {"loss": stage_loss, **self._train_distances()}
            history.sums = {}
            return
        if stage == sb.Stage.TEST:
            self.test_scores = {
                question: self.score(table)
                for question, table in self.trials.items()
                if question != "valid"
            }
            return
        history.seconds = time.monotonic() - self._started
        scores = self.score(self.trials["valid"])
        labels = self.trials["valid"].labels
        stats = self._valid_stats(scores, labels)
        history.epochs.append(
            {
                "epoch": epoch,
                # Of the last step; from the optimiser, which is restored.
                "lr": self.optimizer.param_groups[0]["lr"],
                **{f"train_{k}": v for k, v in self.train_stats.items()},
                **{f"valid_{k}": v for k, v in stats.items()},
            }
        )
        for train_logger in self.hparams.train_loggers:
            self._log(history.epochs[-1], train_logger)
        run_on_main(self._draw, args=[scores, labels, stats["threshold"]])
        self.checkpointer.save_and_keep_only(
            meta={"epoch": epoch, "EER": stats["eer"]},
            min_keys=["EER"],
        )

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Load the best checkpoint."""
        history = self.hparams.history
        whole = dict(vars(history))
        found = self.checkpointer.recover_if_possible(
            max_key=max_key, min_key=min_key
        )
        # The best epoch's checkpoint knows nothing of those after it.
        vars(history).update(whole)
        if found is None:
            raise ValueError(
                f"there is no checkpoint in {self.checkpointer.checkpoints_dir}"
                ": train first"
            )
        self.best = found.meta["epoch"]

    def score(self, table: TrialTable) -> np.ndarray:
        """Scores of trials from the stage's embeddings, by the measure.

        Arguments
        ---------
        table : TrialTable

        Returns
        -------
        np.ndarray
            (trials,)
        """
        embeddings = self.embeddings_of(table)
        measure = MEASURES[self.hparams.measure]
        return measure(embeddings, table.enrol, table.test)

    def embeddings_of(self, table: TrialTable) -> torch.Tensor:
        """The stage's embeddings of a table's utterances.

        Arguments
        ---------
        table : TrialTable

        Returns
        -------
        torch.Tensor
            (utterances, dim), in the order of ``table.names``.
        """
        return torch.stack([self.embeddings[name] for name in table.names])

    def best_epoch(self) -> dict:
        """Number and validation figures of the epoch that was kept.

        Returns
        -------
        dict
            ``best_epoch`` and ``valid``.
        """
        figures = next(
            epoch
            for epoch in self.hparams.history.epochs
            if epoch["epoch"] == self.best
        )
        return {
            "best_epoch": self.best,
            "valid": self._side(figures, "valid_"),
        }

    @staticmethod
    def _side(figures: dict, prefix: str) -> dict:
        """Figures of one side of an epoch, without the prefix."""
        return {
            key.removeprefix(prefix): value
            for key, value in figures.items()
            if key.startswith(prefix)
        }

    def _log(self, figures: dict, train_logger) -> None:
        """Pass an epoch's figures to a SpeechBrain logger."""
        train_logger.log_stats(
            stats_meta={key: figures[key] for key in ("epoch", "lr")},
            train_stats=self._side(figures, "train_"),
            valid_stats=self._side(figures, "valid_"),
        )

    def speakers_of(self, dataset, table: TrialTable) -> list[str]:
        """Speaker of each utterance of a trial table.

        Arguments
        ---------
        dataset : DynamicItemDataset
            The manifest that holds the utterances.
        table : TrialTable

        Returns
        -------
        list of str
            In the order of ``table.names``.
        """
        speaker = {
            self._trial_name(row["wav"]): row["spk_id"]
            for row in dataset.data.values()
        }
        return [speaker[name] for name in table.names]

    @torch.no_grad()
    def speaker_means(self, dataset, clips: int = 8) -> torch.Tensor:
        """Mean embedding of each training speaker, for the export.

        Arguments
        ---------
        dataset : WindowDataset
            The training manifest.
        clips : int
            Windows of each speaker that are averaged.

        Returns
        -------
        torch.Tensor
            (speakers, dim), in the order of the manifest.
        """
        self.modules.eval()
        generator = np.random.default_rng(self.hparams.seed)
        means = []
        for speaker in self.train_sampler.rows_of:
            draws = self.train_sampler.draw_clips(speaker, clips, generator)
            wavs = pad_sequence(
                [dataset[draw]["sig"] for draw in draws], batch_first=True
            )
            embeddings = self.encode(
                wavs.to(self.device), torch.ones(clips, device=self.device)
            )
            means.append(embeddings.mean(dim=(0, 1)).cpu())
        return torch.stack(means)

    def embed(self, dataset, loader_kwargs: dict) -> dict[str, torch.Tensor]:
        """Embeddings of held-out utterances.

        Arguments
        ---------
        dataset : DynamicItemDataset
        loader_kwargs : dict
            As for ``fit``.

        Returns
        -------
        dict of str : torch.Tensor
            (dim,) each, by the name that trials use.
        """
        self.on_stage_start(sb.Stage.VALID)
        self.modules.eval()
        loader = self.make_dataloader(dataset, sb.Stage.VALID, **loader_kwargs)
        with torch.no_grad():
            for batch in loader:
                self.evaluate_batch(batch, sb.Stage.VALID)
        return self.embeddings

    def _train_distances(self) -> dict[str, float]:
        sums = self.hparams.history.sums
        return {
            f"distance_{side}": sums.get(f"{side}_sum", float("nan"))
            / max(1, sums.get(f"{side}_pairs", 0))
            for side in ("similar", "dissimilar")
        }

    def _valid_stats(self, scores, labels) -> dict[str, float]:
        """All figures of the validation trials, and the loss over them."""
        measure = self.hparams.measure
        stats = verification_metrics(scores, labels, kind=measure)
        loss = self.hparams.compute_cost
        if hasattr(loss, "over_pairs"):
            distances = torch.from_numpy(score_distances(scores, measure))
            same = torch.from_numpy(labels == 1)
            stats = {"loss": float(loss.over_pairs(distances, same)), **stats}
        return stats

    def _draw(self, scores, labels, threshold):
        folder = Path(self.hparams.figures_folder)
        save_figure(
            plot_distances(self.hparams.history.epochs),
            folder / "distances.png",
        )
        save_figure(
            plot_scores(
                scores,
                labels,
                threshold,
                title="validation trials",
                kind=self.hparams.measure,
            ),
            folder / "scores_valid.png",
        )

    @staticmethod
    def _trial_name(wav: str) -> str:
        """Name by which trials know an utterance: from ``held_out`` on."""
        return wav[wav.rindex("held_out/") :]
