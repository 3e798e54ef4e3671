"""Spectrogram images depend on the samples alone, and mark where they end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from speechbrain_siamese.lobes.features import (
    PADDING,
    KeepFeatures,
    LogMel,
    frame_is_valid,
    sample_counts,
    subtract_mean,
)

RATE = 16000
HOP = 160
WINDOW = 400


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(*shape, generator=generator)


def images_by_hand(wav: np.ndarray, n_mels: int, n_fft: int) -> np.ndarray:
    """Log-mel image in float64, frame by frame, without SpeechBrain.

    Triangular bands, each as wide on both sides as the distance to the centre
    below it.
    """
    mels = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), n_mels + 2)
    hertz = 700 * (10 ** (mels / 2595) - 1)
    bins = np.arange(n_fft // 2 + 1) * RATE / n_fft
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    padded = np.concatenate([np.zeros(WINDOW), wav, np.zeros(WINDOW)])
    rows = []
    for centre in range(0, len(wav), HOP):
        first = WINDOW + centre - WINDOW // 2
        power = np.abs(
            np.fft.rfft(padded[first : first + WINDOW] * window, n_fft) ** 2
        )
        row = [
            (power * np.maximum(0, 1 - np.abs(bins - middle) / (middle - low)))
            for low, middle in np.stack([hertz[:-2], hertz[1:-1]], axis=1)
        ]
        rows.append(np.log(np.maximum(np.sum(row, axis=1), 1e-10)))
    return np.array(rows)


@pytest.mark.parametrize(
    ("samples", "frames"),
    [
        (1, 1),
        (159, 1),
        (160, 1),
        (161, 2),
        (31000, 194),
        (32000, 200),
        (32001, 201),
    ],
)
def test_there_is_a_frame_for_every_begun_hop(samples, frames):
    feats = LogMel()(noise(1, samples))
    assert feats.shape == (1, frames, 80)
    assert frame_is_valid(feats).all()


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
def test_every_begun_hop_has_a_frame_at_rates_that_ten_ms_do_not_divide(rate):
    images = LogMel(sample_rate=rate)
    hop = images.hop_samples
    assert abs(hop - rate / 100) <= 0.5
    for samples in (20 * hop - 1, 20 * hop, 20 * hop + 1):
        wav = noise(1, samples)
        assert images(wav).shape[1] == -(-samples // hop)


def test_samples_are_counted_up_to_the_last_that_is_not_zero():
    wavs = torch.tensor(
        [
            [0.1, 0.2, 0.3, 0.4],
            [0.1, 0.0, 0.0, 0.0],
            [0.0, 0.0, -0.3, 0.0],
            [0.0, 0.0, 0.0, 0.0],
        ]
    )
    assert sample_counts(wavs).tolist() == [4, 1, 3, 4]


@pytest.mark.parametrize("samples", [1, 160, 161, 31000])
def test_frames_behind_the_end_are_marked_and_only_those(samples):
    wavs = torch.zeros(1, 64000)
    wavs[0, :samples] = noise(samples)
    feats = LogMel()(wavs)
    frames = -(-samples // HOP)
    assert frame_is_valid(feats)[0].tolist() == (
        [True] * frames + [False] * (400 - frames)
    )
    assert (feats[0, frames:] == PADDING).all()
    assert (feats[0, :frames] > PADDING).all()


def test_zeros_inside_and_before_a_recording_are_real_frames():
    wavs = noise(1, 16000)
    wavs[0, :4000] = 0.0
    wavs[0, 8000:12000] = 0.0
    feats = LogMel()(wavs)
    assert frame_is_valid(feats).all()
    assert torch.isfinite(feats).all()
    # Well inside the hole there is the floor, not the mark of padding.
    torch.testing.assert_close(
        feats[0, 60], torch.full((80,), float(np.log(1e-10)))
    )


def test_a_silent_item_is_silence_and_not_padding():
    wavs = torch.stack([noise(3200), torch.zeros(3200)])
    assert frame_is_valid(LogMel()(wavs)).all()


@pytest.mark.parametrize("samples", [7001, 16000, 31000, 40077])
def test_an_item_has_the_same_image_alone_and_beside_a_longer_one(samples):
    images = LogMel()
    wavs = noise(2, 64000)
    wavs[0, samples:] = 0.0
    together = images(wavs)[0]
    alone = images(wavs[:1, :samples])[0]
    frames = len(alone)
    torch.testing.assert_close(together[:frames], alone, rtol=0, atol=1e-5)
    assert (together[frames:] == PADDING).all()


@pytest.mark.parametrize("gain", [0.0, 1.0, 100.0])
def test_frames_do_not_depend_on_what_comes_later(gain):
    images = LogMel()
    wav = noise(1, 48000)
    changed = wav.clone()
    changed[:, -RATE:] = gain * noise(1, RATE, seed=1)
    # The last frames before the change still look into it by half a window.
    before = (32000 - WINDOW // 2) // HOP
    assert torch.equal(images(wav)[:, :before], images(changed)[:, :before])
    assert not torch.equal(
        images(wav)[:, before:210], images(changed)[:, before:210]
    )


def test_values_are_log_mel_power_computed_independently():
    time = np.arange(4000) / RATE
    wav = 0.3 * np.sin(2 * np.pi * 440 * time) + noise(4000).numpy()
    feats = LogMel(n_mels=40)(torch.tensor(wav[None], dtype=torch.float32))
    np.testing.assert_allclose(
        feats[0].numpy(), images_by_hand(wav, 40, 512), rtol=0, atol=2e-3
    )


def test_a_tenfold_amplitude_adds_a_hundredfold_power():
    wav = noise(1, 16000)
    images = LogMel()
    torch.testing.assert_close(
        images(10 * wav), images(wav) + float(np.log(100)), rtol=0, atol=1e-3
    )


def test_images_are_computed_in_full_precision_under_autocast():
    wav = noise(1, 16000)
    images = LogMel()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        feats = images(wav)
    assert feats.dtype == torch.float32
    assert torch.equal(feats, images(wav))


@pytest.mark.parametrize(
    "rate, n_fft", [(8000, 256), (16000, 512), (22050, 1024), (48000, 2048)]
)
def test_transform_is_the_next_power_of_two_that_holds_a_window(rate, n_fft):
    assert LogMel(sample_rate=rate).stft.n_fft == n_fft


@pytest.mark.parametrize("setting", ["n_mels", "win_length", "hop_length"])
def test_settings_of_zero_are_refused_by_name(setting):
    with pytest.raises(ValueError, match=f"{setting} is 0"):
        LogMel(**{setting: 0})


def test_subtracted_means_are_those_of_a_loop_over_valid_frames():
    feats = 5 * noise(3, 12, 4) - 8.0
    feats[0, 9:] = PADDING
    feats[2, 1:] = PADDING
    expected = feats.clone()
    for item, frames in enumerate((9, 12, 1)):
        for mel in range(4):
            mean = sum(feats[item, :frames, mel].tolist()) / frames
            for frame in range(frames):
                expected[item, frame, mel] -= mean
    torch.testing.assert_close(
        subtract_mean(feats), expected, rtol=0, atol=1e-5
    )
    assert (subtract_mean(feats)[0, 9:] == PADDING).all()


def test_subtracting_the_mean_twice_changes_nothing():
    feats = subtract_mean(LogMel()(noise(1, 16000)))
    torch.testing.assert_close(subtract_mean(feats), feats, rtol=0, atol=1e-5)


def test_an_item_of_padding_alone_stays_padding():
    feats = torch.full((1, 5, 3), PADDING)
    assert torch.equal(subtract_mean(feats), feats)


def test_padding_survives_half_precision():
    feats = torch.full((1, 1, 80), PADDING)
    for dtype in (torch.bfloat16, torch.float16):
        assert not frame_is_valid(feats.to(dtype)).any()


def test_kept_features_are_the_same_tensor():
    feats = noise(2, 5, 3)
    assert KeepFeatures()(feats, torch.ones(2)) is feats
