"""SiameseBrain: SpeechBrain's training loop for a Siamese encoder.

One batch is P speakers x K clips; each clip is encoded once and the
contrastive loss sees every pair. A classifier over the training speakers is
learnt beside it, which steadies the training; where it hears the whole
embedding it gives the export its ``classify_file``, elsewhere mean voices do.
"""

from __future__ import annotations

import numpy as np
import speechbrain as sb
import torch
from speechbrain.utils.distributed import run_on_main

from speechbrain_siamese.dataio.datasets import WindowDataset
from speechbrain_siamese.dataio.draws import WindowSampler
from speechbrain_siamese.dataio.trial_names import trial_name
from speechbrain_siamese.dataio.trial_table import TrialTable
from speechbrain_siamese.global_batch import GlobalBatchBrain, seed_step
from speechbrain_siamese.lobes.densenet import DenseNetEncoder
from speechbrain_siamese.lobes.features import subtract_mean
from speechbrain_siamese.nnet.gather import gather_batch
from speechbrain_siamese.nnet.losses import all_pairs
from speechbrain_siamese.nnet.param_groups import (
    freeze,
    named_modules,
    parameter_groups,
)
from speechbrain_siamese.processing.scoring import MEASURES
from speechbrain_siamese.statistics_training import learn_statistics
from speechbrain_siamese.utils.collapse import check_collapse
from speechbrain_siamese.utils.epoch_report import (
    add_distances,
    draw_epoch,
    epoch_figures,
    log_epoch,
    mean_distances,
    validation_figures,
)


class SiameseBrain(GlobalBatchBrain):
    """Train and measure a Siamese encoder.

    Modules: ``compute_features``, ``embedding_model`` (any encoder of
    SpeechBrain's calling convention), ``classifier``; ``mean_var_norm`` where
    the encoder needs it; ``compute_cost`` where the loss has weights;
    ``teacher_cost`` (weighed by ``teacher_weight``) where each clip comes with
    a teacher's embedding, ``teacher``; clips whose ``spk_id_encoded`` is below
    0 have no other loss.
    Hyperparameters: ``compute_cost`` (called as ``loss(embeddings, labels)``,
    with a third argument if there is a ``miner``), ``classifier_cost``,
    ``pair_weight``, ``classifier_weight``, ``measure`` (``cosine``, or
    ``euclidean`` for embeddings that are not brought to unit length),
    ``frozen``, ``lr_factors``, ``speed_perturb``, ``speed_voices`` (each speed
    makes other speakers of all), ``sample_rate`` and ``statistics_speeds``
    where an encoder computes statistics, ``wav_augment``, ``fea_augment``,
    ``lr_schedule``, ``history``, ``seed``, ``number_of_epochs``,
    ``max_minutes``, ``window_samples``, ``eval_batch_size``,
    ``train_loggers``, ``figures_folder``.

    Set ``trials`` before ``fit`` and ``evaluate``: a ``TrialTable`` by
    question (``valid``, and those of the test); before ``fit`` also
    ``train_set``, the training manifest, and ``train_sampler``, its windows.
    """

    trials: dict[str, TrialTable]
    train_set: WindowDataset
    train_sampler: WindowSampler

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.test_scores: dict[str, np.ndarray] = {}
        freeze(self.raw_modules, self.hparams.frozen)

    def compute_forward(self, batch, stage):
        """Encode the clips of a batch, each once; (batch, 1, dim)."""
        batch = batch.to(self.device)
        wavs, lengths = batch.sig
        if stage != sb.Stage.TRAIN:
            means, self._counts = self.encode(wavs, lengths)
            return means
        lengths = torch.ones_like(lengths)
        feats = self.modules.compute_features(self._augmented(wavs, lengths))
        # What is frozen hears what it hears at inference.
        encoder = self.raw_modules["embedding_model"]
        if "mean_var_norm" in self.modules:
            feats = self.modules.mean_var_norm(feats, lengths)
        elif encoder.training:
            feats = subtract_mean(feats)
        # A masked stretch is set to zero, which is the mean only now.
        if self.hparams.fea_augment and encoder.training:
            feats, lengths = self.hparams.fea_augment(feats, lengths)
        # Encoders of SpeechBrain are a network, and are not asked for it.
        more = {"network_alone": True} if hasattr(encoder, "beside") else {}
        return self._embed(self.modules.embedding_model, feats, lengths, **more)

    def _augmented(self, wavs, lengths):
        """Windows of a batch as training hears them."""
        # Sound in half precision would have a noise of its own.
        with torch.autocast(wavs.device.type, enabled=False):
            if self.hparams.speed_perturb:
                wavs = self.hparams.speed_perturb(wavs)
            # Drawn longer, so that the fastest speed still fills a window.
            wavs = wavs[:, : self.hparams.window_samples]
            if self.hparams.wav_augment:
                wavs, _ = self.hparams.wav_augment(wavs, lengths)
        return wavs

    def encode(
        self, wavs: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode waveforms as inference does.

        Arguments
        ---------
        wavs : torch.Tensor
            (batch, time)
        lengths : torch.Tensor
            Relative, (batch,).

        Returns
        -------
        means : torch.Tensor
            Embeddings, (batch, 1, dim); of our encoders, whose windows' are of
            length 1, the mean over windows.
        counts : torch.Tensor
            How many windows each is the mean of, (batch,).
        """
        encoder = self.raw_modules.embedding_model
        feats = self.features(wavs, lengths)
        cosine = self.hparams.measure == "cosine"
        if cosine and isinstance(encoder, DenseNetEncoder):
            return encoder.mean_embeddings(feats)
        whole = self._embed(encoder, feats, lengths)
        return whole, torch.ones(len(whole))

    def features(
        self, wavs: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Compute what the encoder hears at inference.

        Arguments
        ---------
        wavs, lengths : torch.Tensor
            As for ``encode``.

        Returns
        -------
        torch.Tensor
            (batch, frames, bins)
        """
        modules = self.raw_modules
        feats = modules.compute_features(wavs)
        if "mean_var_norm" in modules:
            feats = modules.mean_var_norm(feats, lengths)
        return feats

    def _embed(self, encoder, feats, lengths, **more):
        """Embeddings, of unit length unless their distance is measured."""
        embeddings = encoder(feats, lengths, **more)
        if self.hparams.measure == "euclidean":
            return embeddings
        return torch.nn.functional.normalize(embeddings, dim=-1)

    def compute_objectives(self, predictions, batch, stage):
        """Contrastive loss over all pairs plus the classifier's, weighted.

        Outside training it keeps the embeddings and returns 0: the loss over
        the trials is computed at the end of the stage.
        """
        embeddings = predictions.squeeze(1)
        if stage != sb.Stage.TRAIN:
            for wav, embedding, count in zip(
                batch.wav,
                embeddings.float().cpu(),
                self._counts.tolist(),
                strict=True,
            ):
                self.embeddings[trial_name(wav)] = embedding
                self.counts[trial_name(wav)] = count
            return torch.zeros((), device=self.device)
        # Half precision would lose the small distances that matter most.
        embeddings = gather_batch(embeddings.float())
        labels = gather_batch(self._labels(batch))
        loss = torch.zeros((), device=self.device)
        if "teacher_cost" in self.modules:
            loss = self.hparams.teacher_weight * self.modules.teacher_cost(
                embeddings, gather_batch(self._targets(batch))
            )
        if (labels < 0).any():
            # Of those whom nobody names the teacher alone speaks.
            embeddings, labels = embeddings[labels >= 0], labels[labels >= 0]
        if self.hparams.pair_weight:
            pair_loss = self._pair_loss(embeddings, labels)
            loss = loss + self.hparams.pair_weight * pair_loss
        with torch.no_grad():
            pairs = getattr(self.hparams.compute_cost, "pairs", all_pairs)
            add_distances(self.hparams.history.sums, *pairs(embeddings, labels))
        if self.hparams.classifier_weight:
            answers = self.modules.classifier(embeddings.unsqueeze(1))
            loss = loss + self.hparams.classifier_weight * (
                self.hparams.classifier_cost(answers, labels.unsqueeze(1))
            )
        return loss

    def _labels(self, batch):
        """Numbers of the voices that this process heard, (batch,).

        Below 0 where nobody knows.
        """
        labels = batch.spk_id_encoded.data.to(self.device).reshape(-1)
        if getattr(self.hparams, "speed_voices", False):
            speed = int(self.hparams.speed_perturb.samp_index)
            voices = labels + speed * len(self.train_sampler.rows_of)
            labels = torch.where(labels < 0, labels, voices)
        return labels

    def _targets(self, batch):
        """What the teacher says of what this process heard, (batch, dim)."""
        targets = batch.teacher.data
        if targets.ndim == 3:
            targets = targets[:, int(self.hparams.speed_perturb.samp_index)]
        return targets

    def _pair_loss(self, embeddings, labels):
        """The loss, over the pairs that a miner picks where there is one."""
        cost, miner = self.hparams.compute_cost, self.hparams.miner
        if "compute_cost" in self.modules:
            cost = self.modules.compute_cost
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

    def on_fit_start(self):
        """Restore the checkpoint; end at once if the time was over already.

        What is not trained is computed first, unless it is there already.
        """
        super().on_fit_start()
        self.start_clock()
        learn_statistics(self)
        # Without an epoch there is nothing to export: one step makes it.
        if self.out_of_time() and self.hparams.history.epochs:
            counter = self.hparams.epoch_counter
            counter.limit = counter.current

    def on_fit_batch_start(self, batch, should_step):
        """Set the learning rate and every random state of the step.

        SpeechBrain does not restore random states: what the augmenters draw
        has to follow from seed, epoch and step, and differ between processes.
        """
        super().on_fit_batch_start(batch, should_step)
        # What batch normalisation knows is part of a frozen module too.
        for module in named_modules(
            self.raw_modules, self.hparams.frozen, "frozen"
        ):
            module.eval()
        epoch = self.hparams.epoch_counter.current
        seed_step(self.hparams.seed, epoch, self.step)
        self.read_clock()
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

    def on_stage_start(self, stage, epoch=None):
        """Forget the embeddings of the stage before."""
        del epoch
        self.embeddings: dict[str, torch.Tensor] = {}
        self.counts: dict[str, float] = {}

    def on_stage_end(self, stage, stage_loss, epoch=None):
        """Score the trials, log, draw, and keep the checkpoint."""
        history = self.hparams.history
        if stage == sb.Stage.TRAIN:
            distances = mean_distances(history.sums)
            self.train_figures = {"loss": stage_loss, **distances}
            history.sums = {}
            return
        if stage == sb.Stage.TEST:
            self.test_scores = {
                question: self.score(table)
                for question, table in self.trials.items()
                if question != "valid"
            }
            return
        self.read_clock()
        hparams, trials = self.hparams, self.trials["valid"]
        scores, measure = self.score(trials), hparams.measure
        figures = validation_figures(
            scores, trials.labels, hparams.compute_cost, measure
        )
        # The rate of the last step; from the optimiser, which is restored.
        lr = self.optimizer.param_groups[0]["lr"]
        history.epochs.append(
            epoch_figures(epoch, lr, self.train_figures, figures)
        )
        log_epoch(history.epochs[-1], hparams.train_loggers)
        folder = hparams.figures_folder
        run_on_main(
            draw_epoch,
            args=[history.epochs, scores, trials.labels, measure, folder],
        )
        self.checkpointer.save_and_keep_only(
            meta={"epoch": epoch, "EER": figures["eer"]},
            min_keys=["EER"],
        )
        check_collapse(history.epochs)

    def on_evaluate_start(self, max_key=None, min_key=None):
        """Load the best checkpoint."""
        history = self.hparams.history
        if self.test_only:
            # What fit() would have loaded: the newest, with all epochs.
            self.checkpointer.recover_if_possible()
        whole = dict(vars(history))
        self.trained_steps = self.hparams.lr_schedule.steps
        # It may have been killed after the last save, before the deletion.
        self.checkpointer.delete_checkpoints(min_keys=["EER"])
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
        """Scores of trials from the stage's embeddings, (trials,)."""
        embeddings = self.embeddings_of(table)
        measure = MEASURES[self.hparams.measure]
        return measure(embeddings, table.enrol, table.test)

    def embeddings_of(self, table: TrialTable) -> torch.Tensor:
        """The stage's embeddings of ``table.names``, (utterances, dim)."""
        return torch.stack([self.embeddings[name] for name in table.names])

    def counts_of(self, table: TrialTable) -> torch.Tensor:
        """How many windows they are the means of, (utterances,)."""
        return torch.tensor([self.counts[name] for name in table.names])

    def best_figures(self) -> dict:
        """Figures of the epoch that was kept, as the history has them."""
        return next(
            epoch
            for epoch in self.hparams.history.epochs
            if epoch["epoch"] == self.best
        )

    @torch.no_grad()
    def speaker_means(self, dataset, clips: int = 8) -> torch.Tensor:
        """Mean embedding of each training speaker, for the export.

        Arguments
        ---------
        dataset : WindowDataset
            The training manifest.
        clips : int
            Windows of each speaker that are averaged; they follow from the
            seed.

        Returns
        -------
        torch.Tensor
            (speakers, dim), in the order of the manifest.
        """
        self.modules.eval()
        generator = np.random.default_rng(self.hparams.seed)
        sampler = self.train_sampler
        draws = [
            draw
            for speaker in sampler.rows_of
            for draw in sampler.draw_clips(speaker, clips, generator)
        ]
        loader = self.make_dataloader(
            dataset,
            sb.Stage.VALID,
            sampler=draws,
            batch_size=self.hparams.eval_batch_size,
        )
        found = []
        for batch in loader:
            wavs = batch.to(self.device).sig.data
            # They are drawn longer than a window, for the speeds of training.
            wavs = wavs[:, : self.hparams.window_samples]
            embeddings, _ = self.encode(wavs, torch.ones(len(wavs)).to(wavs))
            found.append(embeddings.squeeze(1).cpu())
        return torch.cat(found).unflatten(0, (-1, clips)).mean(dim=1)

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
