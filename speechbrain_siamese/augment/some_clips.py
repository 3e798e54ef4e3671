"""An augmentation of some clips of a batch, while the others stay clean."""

from __future__ import annotations

import torch
from speechbrain.utils.callchains import lengths_arg_exists

from speechbrain_siamese.utils.ranges import check_range


class SomeClips(torch.nn.Module):
    """Apply an augmentation to a random share of a batch's clips.

    SpeechBrain's ``Augmenter`` draws for the whole batch at once. A loss over
    the pairs of a batch learns most where one clip of a voice is clean and
    another is not, and an expensive augmentation of every clip would take
    longer than the network.

    Arguments
    ---------
    augmentation : torch.nn.Module
        Any of SpeechBrain's that keep the length, or ours.
    share : float
        Share of the clips, 0 to 1. Of a batch in which that is no whole number
        the next higher or lower one is drawn, so that small batches get as
        many in the long run; not one alone of several, for which voices of the
        batch could be no noise.

    Raises
    ------
    ValueError
        If ``share`` is out of its range.

    Example
    -------
    >>> from speechbrain.augment.time_domain import RandAmp
    >>> half = SomeClips(RandAmp(amp_low=0.0, amp_high=0.0), share=0.5)
    >>> half(torch.ones(4, 100), torch.ones(4)).sum()
    tensor(200.)
    """

    def __init__(self, augmentation: torch.nn.Module, share: float):
        super().__init__()
        check_range("share", share, 0, 1)
        self.augmentation = augmentation
        self.share = share
        self._takes_lengths = lengths_arg_exists(augmentation.forward)

    def forward(
        self, waveforms: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Augment the clips that are drawn.

        Arguments
        ---------
        waveforms : torch.Tensor
            (batch, time)
        lengths : torch.Tensor
            Relative, (batch,).

        Returns
        -------
        torch.Tensor
            (batch, time), in the order of ``waveforms``, which stays as it is.
        """
        wanted = self.share * len(waveforms)
        # One alone would have nobody to be mixed with.
        least = 2 if 0 < wanted < 2 <= len(waveforms) else 1
        count = least * int(wanted / least + float(torch.rand(())))
        if not count:
            return waveforms
        drawn = torch.randperm(len(waveforms))[:count].to(waveforms.device)
        clips = (waveforms[drawn],)
        if self._takes_lengths:
            clips += (lengths[drawn],)
        augmented = waveforms.clone()
        augmented[drawn] = self.augmentation(*clips).to(waveforms.dtype)
        return augmented
