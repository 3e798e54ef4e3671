"""Pictures of an evaluation: as files, for the page, in TensorBoard."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from speechbrain_siamese.utils.plots import save_figure


class Pictures:
    """The pictures of one evaluation, in the order in which they are shown.

    Arguments
    ---------
    folder : str or Path
        Of the evaluation; they go into ``figures/`` below it.
    tensorboard : bool
        Also write them for TensorBoard, into ``tensorboard/``.

    Raises
    ------
    ImportError
        If TensorBoard is asked for and not installed; names the extra.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> pictures = Pictures(folder, tensorboard=False)
    >>> figure = Figure()
    >>> pictures.add("empty", "Nothing", "An empty figure.", figure)
    >>> (folder / pictures.shown[0]["file"]).is_file()
    True
    """

    def __init__(self, folder: str | Path, tensorboard: bool):
        self.folder = Path(folder)
        self.shown: list[dict[str, str]] = []
        self.writer = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError(
                    "use_tensorboard is True, but TensorBoard is not "
                    'installed: pip install "speechbrain-siamese[tensorboard]"'
                ) from error
            self.writer = SummaryWriter(str(self.folder / "tensorboard"))

    def add(self, key: str, title: str, caption: str, figure: Figure) -> None:
        """Save a picture.

        Arguments
        ---------
        key : str
            Name of its file.
        title : str
        caption : str
            How to read it.
        figure : Figure
        """
        file = f"figures/{key}.png"
        save_figure(figure, self.folder / file)
        self.shown.append(
            {"key": key, "title": title, "caption": caption, "file": file}
        )
        if self.writer:
            self.writer.add_figure(key, figure)
            self.writer.flush()
