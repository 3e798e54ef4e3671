"""Tests of speaker encoders with torchvision's trunks."""

import pytest
import torch

torchvision = pytest.importorskip("torchvision")

BINS, SECONDS, RATE = 40, 0.5, 16000


@pytest.fixture
def features():
    """Log-mel images."""
    from speechbrain.lobes.spectrogram_images import LogMel

    return LogMel(sample_rate=RATE, n_mels=BINS)


@pytest.fixture
def encoder():
    """A narrow DenseNet, in the state of inference."""
    from speechbrain.integrations.torchvision.densenet import DenseNetEncoder

    torch.manual_seed(0)
    return DenseNetEncoder(
        growth_rate=4,
        blocks=[1, 1, 1, 1],
        n_mels=BINS,
        window_len=SECONDS,
        embedding_dim=16,
    ).eval()


def test_embeddings_have_unit_length(features, encoder):
    """One embedding for each item, of length one, whatever it lasts."""
    wavs = torch.randn(3, round(2.2 * SECONDS * RATE))
    found = encoder(features(wavs), torch.ones(3))
    assert found.shape == (3, 1, 16)
    assert torch.allclose(found.norm(dim=-1), torch.ones(3, 1), atol=1e-5)


def test_an_embedding_does_not_depend_on_its_batch(features, encoder):
    """Alone or padded beside a longer one: the same."""
    short = torch.randn(1, round(1.3 * SECONDS * RATE))
    long = torch.randn(1, 3 * short.shape[1])
    padded = torch.nn.functional.pad(short, (0, 2 * short.shape[1]))
    alone = encoder(features(short), torch.ones(1))
    beside = encoder(
        features(torch.cat([long, padded])), torch.tensor([1.0, 1 / 3])
    )
    assert torch.allclose(alone[0], beside[1], atol=1e-5)


def test_it_learns(features, encoder):
    """Every weight gets a gradient, and the loss falls."""
    from speechbrain.nnet.loss.contrastive_loss import ContrastiveLoss

    loss = ContrastiveLoss(margin=1.0)
    feats = features(torch.randn(4, round(SECONDS * RATE)))
    labels = torch.tensor([0, 0, 1, 1])
    encoder.train()
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.01)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        cost = loss(encoder(feats, torch.ones(4)).squeeze(1), labels)
        cost.backward()
        optimizer.step()
        losses.append(cost.item())
    assert all(weight.grad is not None for weight in encoder.parameters())
    assert losses[-1] < losses[0]


def test_weights_of_a_picture_model_are_taken(tmp_path):
    """From a file, summed over its colours; what does not fit is refused."""
    from speechbrain.integrations.torchvision.densenet import DenseNetEncoder

    whole = torchvision.models.densenet121(weights=None)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    (tmp_path / "page.pth").write_text("<html>404</html>")

    def load(name):
        return DenseNetEncoder(
            n_mels=BINS,
            window_len=SECONDS,
            imagenet_weights=str(tmp_path / name),
        )

    summed = whole.features.conv0.weight.sum(dim=1, keepdim=True)
    assert torch.equal(load("whole.pth").trunk.conv0.weight, summed)
    for name, words in (
        ("other.pth", "do not fit"),
        ("page.pth", "holds no weights"),
        ("missing.pth", "not a file"),
    ):
        with pytest.raises(ValueError, match=words):
            load(name)


def test_statistics_stand_beside_the_network(features):
    """Computed from windows of two voices; the cosine is the weighted mean."""
    from speechbrain.integrations.torchvision.ensemble import DenseNetEnsemble

    torch.manual_seed(0)
    encoder = DenseNetEnsemble(
        growth_rate=4,
        blocks=[1, 1, 1, 1],
        n_mels=BINS,
        window_len=SECONDS,
        embedding_dim=16,
    ).eval()
    assert not encoder.computed
    windows = torch.randn(40, encoder.window_frames, BINS)
    encoder.fit_statistics([(windows, torch.arange(40) % 2)])
    assert encoder.computed
    feats = features(torch.randn(2, round(SECONDS * RATE)))
    found = encoder(feats)
    assert torch.allclose(found.norm(dim=-1), torch.ones(2, 1), atol=1e-5)
    alone = encoder(feats, network_alone=True)
    assert alone.shape == (2, 1, 16)
    # Of 1 + 8 + 8 parts, one is the network's.
    assert torch.allclose(found[..., :16] * 17**0.5, alone, atol=1e-5)


def test_the_two_tower_encoder_flattens_its_maps():
    """A three-channel picture of 128 frames gives one long vector."""
    from speechbrain.integrations.torchvision.two_tower import TwoTowerEncoder
    from speechbrain.lobes.spectrogram_images import LogMel

    features = LogMel(sample_rate=22050, n_mels=128)
    encoder = TwoTowerEncoder().eval()
    wavs = torch.randn(1, 3 * 22050)
    found = encoder(features(wavs), torch.ones(1))
    assert found.shape[:2] == (1, 1)
    assert found.shape[2] > 1000


def test_the_stack_has_all_its_rows():
    """40 MFCC and three more for each frame, all finite."""
    from speechbrain.integrations.torchvision.mfcc_stack import MfccStack

    feats = MfccStack()(torch.randn(2, 22050))
    assert feats.shape[0] == 2
    assert feats.shape[2] == 43
    assert torch.isfinite(feats).all()
