"""One process of several that learn from one batch; run by test_gather.py.

python one_share.py <rank> <world size> <folder>: the folder's ``start``
brings them together, ``rank<rank>.pt`` tells what came out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from speechbrain_siamese.nnet.gather import gather_batch
from speechbrain_siamese.nnet.global_batch_norm import share_batch_norm
from speechbrain_siamese.nnet.losses import ContrastiveLoss

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])


def encoder() -> torch.nn.Module:
    """Both dimensions of norms, with and without weights, and a frozen one."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3),
        torch.nn.BatchNorm2d(3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(3, 2, 3, stride=2),
        torch.nn.BatchNorm2d(2),
        torch.nn.Flatten(),
        torch.nn.BatchNorm1d(18, momentum=None, affine=False),
        torch.nn.Linear(18, 5),
    ).double()
    for name, values in model.named_parameters():
        if name.endswith("bias") or values.ndim == 1:
            torch.nn.init.normal_(values, mean=0.5)
    return model


def images() -> torch.Tensor:
    """Far from 0, and unlike in the two halves of the batch."""
    generator = torch.Generator().manual_seed(1)
    values = torch.randn(8, 1, 9, 9, dtype=torch.float64, generator=generator)
    return 3 * values + torch.arange(8.0)[:, None, None, None] + 40


def learn(model, head, plain, values) -> dict[str, torch.Tensor]:
    """Two steps on one batch; what has become of everything."""
    optimiser = torch.optim.SGD(
        [*model.parameters(), *head.parameters()], lr=0.1
    )
    found = {}
    plain[4].eval()  # as a frozen module
    for step in range(2):
        optimiser.zero_grad()
        found[f"loss{step}"] = loss = loss_of(model, head, values)
        loss.backward()
        for name, weights in plain.named_parameters():
            found[f"gradient{step}.{name}"] = weights.grad.clone()
        found[f"gradient{step}.head"] = head.parameters().__next__().grad
        optimiser.step()
    plain.eval()
    found["evaluated"] = plain(images())
    return {**found, **plain.state_dict()}


def loss_of(model, head, values):
    """Pairs across the shares, and what comes after the joint."""
    embeddings = gather_batch(model(values))
    # Double precision; the loss of the package is in single precision.
    distances = torch.pdist(embeddings)
    first, second = torch.triu_indices(8, 8, offset=1)
    same = LABELS[first] == LABELS[second]
    pairs = ContrastiveLoss(balanced=True).over_pairs(distances, same)
    return pairs + torch.nn.functional.cross_entropy(head(embeddings), LABELS)


def one_process() -> dict[str, torch.Tensor]:
    """What the shares together have to find."""
    model, head = encoder(), torch.nn.Linear(5, 4).double()
    return learn(model, head, model, images())


def main(rank: int, world_size: int, folder: Path) -> None:
    """Learn from a share."""
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'start'}",
        rank=rank,
        world_size=world_size,
    )
    plain, head = encoder(), torch.nn.Linear(5, 4).double()
    share_batch_norm(plain)
    found = learn(
        DistributedDataParallel(plain),
        DistributedDataParallel(head),
        plain,
        images().chunk(world_size)[rank],
    )
    torch.save(found, folder / f"rank{rank}.pt")
    distributed.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
