"""Loading from a folder or from the hub, by huggingface_hub's own mixin."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import ModelHubMixin, hf_hub_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import validate_repo_id

from speechbrain_siamese.utils.safe_form import CONFIG, WEIGHTS, build

#: Bytes of a configuration with the names of a million speakers.
MOST_BYTES = 100_000_000


class SafeForm(ModelHubMixin):
    """``from_pretrained``: load an export without running any code of it."""

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | Path, **settings: object
    ):
        """Load an export from a folder or from the hub, and run nothing of it.

        Arguments
        ---------
        pretrained_model_name_or_path : str or Path
            Folder, or ``<user>/<name>`` on the hub.
        **settings
            Those of ``huggingface_hub``, and ``run_opts`` as SpeechBrain's.

        Returns
        -------
        SiameseRecognition

        Raises
        ------
        ValueError
            If it is neither a folder nor a name that the hub can have, no
            export of ours, or damaged.
        OSError
            If it cannot be read or fetched.
        """
        _check_config(Path(pretrained_model_name_or_path) / CONFIG)
        _check_name(str(pretrained_model_name_or_path))
        try:
            return super().from_pretrained(
                pretrained_model_name_or_path, **settings
            )
        except (AttributeError, RecursionError) as error:
            # The mixin takes whatever stands there for an object of JSON.
            raise ValueError(
                f"{pretrained_model_name_or_path} holds a {CONFIG} that is no "
                f"export's ({error}): expected one that training has written"
            ) from error
        except LocalEntryNotFoundError as error:
            raise OSError(
                _neither(
                    pretrained_model_name_or_path,
                    f" that can be fetched ({error})",
                )
            ) from error

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        config: dict | None = None,
        run_opts: dict | None = None,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **others: object,
    ):
        """Called by ``from_pretrained``, which has read ``config.json``."""
        # The mixin hands over what the configuration holds, too.
        told = config or {}
        unknown = [key for key in others if others[key] is not told.get(key)]
        if unknown:
            raise ValueError(
                f"from_pretrained takes no {', '.join(unknown)}; settings of "
                "the run go into run_opts"
            )
        folder = Path(model_id)
        if config is None and not folder.is_dir():
            raise ValueError(_neither(model_id, f" with a {CONFIG}"))
        if config is None:
            has_yaml = (folder / "hyperparams.yaml").is_file()
            raise ValueError(
                f"{model_id} holds no {CONFIG}"
                + (
                    ", only hyperparams.yaml, which runs what it says: load it "
                    "with from_hparams if you trust whoever made it"
                    if has_yaml
                    else ": expected a folder that training has exported, or "
                    "<user>/<name> of one on the hub"
                )
            )
        weights = folder / WEIGHTS
        if not folder.is_dir():
            weights = Path(
                hf_hub_download(
                    model_id,
                    WEIGHTS,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    token=token,
                    local_files_only=local_files_only,
                )
            )
        modules, hparams = build(config, weights)
        return cls(modules, hparams, run_opts)

    def _save_pretrained(self, save_directory: Path) -> None:
        """Refuse: only training knows all of an export."""
        raise ValueError(
            "an export is written by training; share the folder itself, which "
            f"holds {CONFIG} and {WEIGHTS}"
        )


def _check_name(name: str) -> None:
    """Refuse what is no folder, and what the hub cannot have either."""
    path = Path(name)
    if path.is_dir():
        return
    try:
        validate_repo_id(name)
        possible = "/" in name and not path.exists()
    except HFValidationError:
        possible = False
    if not possible:
        raise ValueError(_neither(name))


def _neither(name: str | Path, why: str = "") -> str:
    """That something is no export that is here, or on the hub."""
    return (
        f"{name} is no folder, and no <user>/<name> on the hub{why}: expected "
        "a folder that training has exported, or the name of one on the hub"
    )


def _check_config(path: Path) -> None:
    """Refuse what reading would never end of, or fill the memory with."""
    if not path.exists():
        return  # no folder, or one that the mixin says what is missing of
    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise ValueError(
            f"{path} is no file, or one of more than {MOST_BYTES} bytes: "
            "expected one that training has written"
        )
