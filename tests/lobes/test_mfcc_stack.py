"""The 2019 image holds librosa's values, and depends on the samples alone."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch
from hyperpyyaml import load_hyperpyyaml
from torch.nn import functional as F

from speechbrain_siamese.lobes.features import (
    PADDING,
    frame_is_valid,
    subtract_mean,
)
from speechbrain_siamese.lobes.mfcc_stack import (
    MfccStack,
    StandardisedDenseNet,
    mel_filters,
)

RATE = 16000
HOP = 512
FRAME = 2048
RECIPE = Path(__file__).resolve().parents[2] / "hparams" / "siamese_2019.yaml"


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(*shape, generator=generator)


def by_librosa(
    wav: np.ndarray, rate: int, frame: int, hop: int, top_db: float | None
) -> np.ndarray:
    """MFCC, crossings, level and roll-off, (frames, 43)."""
    lengths = {"frame_length": frame, "hop_length": hop}
    mel = librosa.feature.melspectrogram(
        y=wav, sr=rate, n_fft=frame, hop_length=hop
    )
    parts = [
        librosa.feature.mfcc(
            S=librosa.power_to_db(mel, top_db=top_db), n_mfcc=40
        ),
        librosa.feature.zero_crossing_rate(wav, **lengths),
        librosa.feature.rms(y=wav, **lengths),
        # In double precision: librosa adds up in single, and a bin that ends
        # at 85 % exactly falls on either side of it.
        librosa.feature.spectral_rolloff(
            y=wav.astype(np.float64), sr=rate, n_fft=frame, hop_length=hop
        ),
    ]
    return np.concatenate(parts).T


def assert_is_librosa(wav, rate=RATE, frame=FRAME, hop=HOP, top_db=None):
    """Every bin of every frame within 1e-3: decibels, shares and Hz."""
    images = MfccStack(rate, 40, 1000 * frame / rate, 1000 * hop / rate)
    assert (images.frame_samples, images.hop_samples) == (frame, hop)
    feats = images(torch.from_numpy(wav)[None])[0].numpy()
    expected = by_librosa(wav, rate, frame, hop, top_db)
    assert len(feats) == -(-len(wav) // hop)
    np.testing.assert_allclose(feats, expected[: len(feats)], rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("rate", "frame", "hop"),
    [
        (16000, 2048, 512),
        (22050, 2048, 512),
        (16000, 400, 160),
        (11025, 1411, 353),
        (8000, 512, 80),
    ],
)
@pytest.mark.parametrize("speaker", [0, 5])
def test_voices_have_librosas_values(tiny, speaker, rate, frame, hop):
    wav = tiny.voice(speaker, recording=0, seconds=4.0)
    assert_is_librosa(wav, rate, frame, hop)


@pytest.mark.filterwarnings("ignore:n_fft=2048 is too large")
def test_noise_has_librosas_own_values_with_its_ceiling():
    """Noise lies within 80 dB, where the ceiling changes nothing."""
    for samples in (HOP, 3 * HOP + 1, 40077):
        assert_is_librosa(noise(samples).numpy(), top_db=80.0)


def test_real_speech_has_librosas_values(real_data):
    paths = sorted((real_data / "changes").glob("*.flac"))[:3]
    assert paths
    for path in paths:
        wav, rate = soundfile.read(path, dtype="float32", stop=10 * RATE)
        assert_is_librosa(np.trim_zeros(wav, "b"), rate)


def test_filters_are_librosas_also_at_odd_rates():
    for rate, frame in ((16000, 2048), (11025, 1411), (22050, 2048)):
        expected = librosa.filters.mel(sr=rate, n_fft=frame).T
        np.testing.assert_allclose(
            mel_filters(rate, frame, 128), expected, atol=1e-4 * expected.max()
        )


def test_a_voice_far_below_its_loudest_frame_keeps_its_cepstrum():
    """With librosa's ceiling the loud end would change the quiet start."""
    quiet = 1e-4 * noise(RATE)
    wav = torch.cat([quiet, 9 * noise(RATE)]).numpy()
    assert_is_librosa(wav, top_db=None)
    with pytest.raises(AssertionError):
        assert_is_librosa(wav, top_db=80.0)


@pytest.mark.parametrize(("swing", "share"), [(9e-11, 0.0), (2e-10, 1.0)])
def test_what_is_next_to_zero_does_not_cross_it(swing, share):
    wav = np.tile(np.float32([swing, -swing]), 4 * FRAME)
    assert_is_librosa(wav)
    middle = MfccStack()(torch.from_numpy(wav)[None])[0, 8, 40]
    assert float(middle) == pytest.approx(share * (FRAME - 1) / FRAME)


@pytest.mark.parametrize(
    ("samples", "frames"),
    [(1, 1), (511, 1), (512, 1), (513, 2), (31744, 62), (31745, 63)],
)
def test_there_is_a_frame_for_every_begun_hop(samples, frames):
    feats = MfccStack()(noise(1, samples))
    assert feats.shape == (1, frames, 43)
    assert frame_is_valid(feats).all()


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
@pytest.mark.parametrize("hop_length", [10.0, 32.0])
def test_a_hop_is_the_nearest_number_of_samples(rate, hop_length):
    images = MfccStack(rate, hop_length=hop_length)
    hop = images.hop_samples
    assert abs(hop - rate * hop_length / 1000) <= 0.5
    for samples in (20 * hop - 1, 20 * hop, 20 * hop + 1):
        assert images(noise(1, samples)).shape[1] == -(-samples // hop)


@pytest.mark.parametrize("samples", [7001, 16000, 31000, 40077])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_item_has_the_same_image_alone_and_beside_a_longer_one(
    samples, sign
):
    images = MfccStack()
    wavs = noise(2, 64000)
    wavs[0, samples:] = 0.0
    # Padding would add a crossing after a negative end.
    wavs[0, samples - 1] = sign * 0.1
    together = images(wavs)[0]
    alone = images(wavs[:1, :samples])[0]
    frames = len(alone)
    torch.testing.assert_close(together[:frames], alone, rtol=0, atol=1e-5)
    assert frame_is_valid(together[None])[0, :frames].all()
    assert (together[frames:] == PADDING).all()


@pytest.mark.parametrize("gain", [0.0, 1.0, 100.0])
def test_frames_do_not_depend_on_what_comes_later(gain):
    images = MfccStack()
    wav = noise(1, 48000)
    changed = wav.clone()
    changed[:, -RATE:] = gain * noise(1, RATE, seed=1)
    # The last frames before the change still look into it by half a frame.
    before = (32000 - FRAME // 2) // HOP
    assert torch.equal(images(wav)[:, :before], images(changed)[:, :before])
    assert not torch.equal(images(wav)[:, :65], images(changed)[:, :65])


@pytest.mark.parametrize("samples", [7001, 16000, 31000])
@pytest.mark.parametrize("beside", [31744, 64000])
def test_a_short_item_is_padded_in_the_time_domain(samples, beside):
    images = MfccStack(window_len=2.0)
    wavs = noise(2, beside)
    wavs[0, samples:] = 0.0
    feats = images(wavs)
    # A window is 62 hops. One that is long enough is told nothing of it.
    padded = F.pad(wavs[0, :samples], (0, 62 * HOP - samples)).numpy()
    by_hand = by_librosa(padded, RATE, FRAME, HOP, None)[:62]
    torch.testing.assert_close(
        feats[0, :62], torch.from_numpy(by_hand).float(), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(
        images(wavs[:1, :samples])[0], feats[0, :62], rtol=0, atol=1e-5
    )
    assert (feats[0, 62:] == PADDING).all()
    assert torch.equal(feats[1], MfccStack()(wavs[1:])[0])


def test_too_short_an_item_stays_so_for_the_encoder_to_refuse():
    encoder = StandardisedDenseNet(window_len=2.0, hop_length=32.0).eval()
    images = MfccStack(window_len=2.0)
    assert encoder(images(noise(1, 6400))).isfinite().all()
    with pytest.raises(ValueError, match="too short to know a voice"):
        encoder(images(noise(1, 5000)))


def test_zeros_inside_and_silent_items_are_real_frames():
    wavs = noise(2, 32000)
    wavs[0, 8000:24000] = 0.0
    wavs[1] = 0.0
    feats = MfccStack()(wavs)
    assert frame_is_valid(feats).all()
    # Only the first coefficient of digital silence is not zero: the floor of
    # -100 dB in each of 128 bands.
    expected = torch.zeros(43)
    expected[0] = -100 * 128**0.5
    for frame in (feats[0, 31], feats[1, 0]):
        torch.testing.assert_close(frame, expected, rtol=0, atol=1e-3)


def test_images_are_computed_in_full_precision_under_autocast():
    wav = noise(1, 16000)
    images = MfccStack()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        feats = images(wav)
    assert feats.dtype == torch.float32
    assert torch.equal(feats, images(wav))


@pytest.mark.parametrize("setting", ["n_mfcc", "win_length", "hop_length"])
def test_settings_of_zero_are_refused_by_name(setting):
    with pytest.raises(ValueError, match=f"{setting} is 0"):
        MfccStack(**{setting: 0})


def test_more_coefficients_than_bands_are_refused():
    with pytest.raises(ValueError, match=r"n_mfcc is 129.* 1 to 128"):
        MfccStack(n_mfcc=129)


@pytest.fixture(scope="module")
def encoder() -> StandardisedDenseNet:
    """An encoder that has seen one batch of noise, as quiet as speech gets."""
    torch.manual_seed(0)
    encoder = StandardisedDenseNet(window_len=1.024, hop_length=32.0)
    with torch.no_grad():
        encoder.train()(MfccStack()(0.1 * noise(8, RATE)))
    return encoder.eval()


def test_the_trunk_sees_each_bin_with_deviation_one(encoder):
    seen = []
    handle = encoder.trunk.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0])
    )
    # With gradients: its folded copy, which has no hooks, looks at the rest.
    encoder(MfccStack()(0.1 * noise(8, RATE, seed=1)))
    handle.remove()
    seen = [images.detach() for images in seen]
    (images,) = seen
    assert images.shape[1:] == (1, 32, 43)
    deviations = images.std(dim=(0, 1, 2))
    assert deviations.min() > 0.7
    assert deviations.max() < 1.4
    torch.testing.assert_close(
        images.mean(dim=2), torch.zeros(len(images), 1, 43), rtol=0, atol=1e-4
    )


def test_learnt_deviations_are_the_mean_over_steps_of_those_in_windows():
    encoder = StandardisedDenseNet(
        window_len=1.024, hop_length=32.0, embedding_dim=8
    ).train()
    batches = [MfccStack()(gain * noise(4, 32 * HOP)) for gain in (1, 3)]
    with torch.no_grad():
        for feats in batches:
            encoder(feats)
    expected = torch.stack(
        [subtract_mean(feats).flatten(0, 1).var(dim=0) for feats in batches]
    ).mean(dim=0)
    torch.testing.assert_close(
        encoder.standardise.running_var, expected, rtol=1e-3, atol=0
    )


def test_learnt_deviations_are_saved_with_the_weights(encoder):
    feats = MfccStack()(noise(2, RATE, seed=2))
    other = StandardisedDenseNet(window_len=1.024, hop_length=32.0).eval()
    other.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        expected = encoder(feats)
        assert torch.equal(other(feats), expected)
        other.standardise.reset_running_stats()
        assert not torch.allclose(other(feats), expected, atol=1e-2)


def test_an_embedding_is_the_same_alone_and_beside_a_longer_clip(encoder):
    images = MfccStack()
    wavs = noise(2, 4 * RATE, seed=3)
    wavs[0, 31000:] = 0.0
    with torch.no_grad():
        together = encoder(images(wavs), torch.tensor([31000 / 64000, 1.0]))
        alone = encoder(images(wavs[:1, :31000]), torch.ones(1))
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-5)


def test_a_mean_taken_off_before_changes_no_embedding(encoder):
    """Training takes it off before the augmentation, inference does not."""
    feats = MfccStack()(noise(2, 32 * HOP, seed=4))
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(subtract_mean(feats)), encoder(feats), rtol=0, atol=1e-4
        )


def test_a_silence_range_is_refused():
    with pytest.raises(ValueError, match=r"silence_range is 50\.0.* null"):
        StandardisedDenseNet(silence_range=50.0)


def test_the_recipes_parts_fit_each_other(tmp_path):
    with open(RECIPE, encoding="utf-8") as file:
        hparams = load_hyperpyyaml(file, {"output_folder": str(tmp_path)})
    images, encoder = hparams["compute_features"], hparams["embedding_model"]
    assert (images.frame_samples, images.hop_samples) == (FRAME, HOP)
    assert hparams["cleaning"].separate_vocals
    wavs = noise(2, encoder.window_frames * images.hop_samples)
    feats = images(wavs)
    assert feats.shape == (2, encoder.window_frames, 43)
    assert encoder(feats).shape == (2, 1, hparams["embedding_dim"])
