"""Puts an export on the hub, by huggingface_hub's own calls."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    ModelCard,
)
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
)
from huggingface_hub.utils import validate_repo_id
from speechbrain.dataio.encoder import CategoricalEncoder
from yaml import YAMLError

from speechbrain_siamese.utils.export_folder import (
    CARD,
    FILES,
    HYPERPARAMS,
    LABELS,
)
from speechbrain_siamese.utils.model_card import HERE
from speechbrain_siamese.utils.safe_form import CONFIG


def push(
    export: str | Path,
    hub_id: str,
    language: Sequence[str],
    licence: str,
    datasets: Sequence[str] = (),
    keep_names: bool = False,
    private: bool = False,
) -> str:
    """Publish an export, its model card completed.

    Files of an export that was there before are replaced, its card, too.

    Arguments
    ---------
    export : str or Path
        Folder that training has written.
    hub_id : str
        ``<user>/<name>``; made if it is not there yet.
    language : Sequence[str]
        Codes of the languages that it has heard: ``ne``, ``hi``.
    licence : str
        As the hub calls it: ``cc-by-4.0``.
    datasets : Sequence[str]
        On the hub, from which it has learnt.
    keep_names : bool
        Leave the names of the training speakers in it; otherwise numbers take
        their place, in their order.
    private : bool
        Whether others cannot see it. One that is there already and is seen
        by all is refused.

    Returns
    -------
    str
        Address of the commit.

    Raises
    ------
    ValueError
        If the name or the folder is none, the hub refuses, or it cannot be
        reached.
    """
    if hub_id.count("/") != 1 or not all(hub_id.split("/")):
        raise ValueError(
            f"{hub_id} is no name on the hub: expected <user>/<name>, as in "
            "sita/voices"
        )
    export = Path(export)
    if not (export / HYPERPARAMS).is_file() or not (export / CARD).is_file():
        raise ValueError(
            f"{export} holds no {HYPERPARAMS} and {CARD}: expected the folder "
            "'export' of a training"
        )
    files = {
        name: (export / name).read_bytes()
        for name in FILES
        if (export / name).is_file()
    }
    files[CARD] = _card(export / CARD, hub_id, language, licence, datasets)
    if not keep_names:
        files |= _without_names(export)
    api = HfApi()
    with _told_errors(hub_id):
        validate_repo_id(hub_id)
        # The hub would refuse the commit, when the repository is made.
        ModelCard(files[CARD].decode()).validate()
        # None leaves it to what the organisation has chosen.
        api.create_repo(hub_id, private=private or None, exist_ok=True)
        there = api.repo_info(hub_id)
    if private and not there.private:
        raise ValueError(
            f"{hub_id} was there already and everybody sees it: make it "
            "private on the hub, or give another name"
        )
    # Of an export of another kind, or with names in it.
    stale = {one.rfilename for one in there.siblings or ()}
    stale &= set(FILES) - set(files)
    with _told_errors(hub_id):
        done = api.create_commit(
            hub_id,
            [
                *(CommitOperationDelete(name) for name in sorted(stale)),
                *(
                    CommitOperationAdd(
                        path_in_repo=name, path_or_fileobj=content
                    )
                    for name, content in files.items()
                ),
            ],
            commit_message="Add a Siamese speaker model",
        )
    return str(done.commit_url)


@contextmanager
def _told_errors(hub_id: str) -> Iterator[None]:
    """What goes wrong with the hub, in words that help."""
    try:
        yield
    except LocalTokenNotFoundError as error:
        raise ValueError(
            "nobody is logged in: run 'hf auth login', or set HF_TOKEN"
        ) from error
    except HFValidationError as error:
        raise ValueError(
            f"{hub_id} is no name on the hub ({error}): expected <user>/<name>"
        ) from error
    except HfHubHTTPError as error:
        raise ValueError(
            f"the hub refuses {hub_id}: {error}. Check the name, and that your "
            "token may write there (hf auth whoami)"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"the hub does not take the model card: {error}. Check --language "
            "(a code such as ne) and --license (as the hub calls it)"
        ) from error
    except Exception as error:
        # Which one it is depends on the version of huggingface_hub.
        raise ValueError(
            f"the hub cannot be reached ({type(error).__name__}: {error}); "
            "nothing is published. Give the same command again later"
        ) from error


def _card(path: Path, hub_id: str, language, licence, datasets) -> bytes:
    """The export's card with what its owner knows."""
    try:
        text = path.read_bytes().decode()
        card = ModelCard(
            text.replace(HERE, hub_id), ignore_metadata_errors=True
        )
    except (ValueError, YAMLError) as error:
        # Of a parser's errors each has several lines.
        raise ValueError(
            f"{path} is no model card ({' '.join(str(error).split())}): "
            "expected UTF-8 that begins with YAML between two lines of ---; "
            "mend it, or take the one that training has written"
        ) from error
    card.data.language = list(language)
    card.data.license = licence
    if datasets:
        card.data.datasets = list(datasets)
    return str(card).encode()


def _without_names(export: Path) -> dict[str, bytes]:
    """Files of an export that name the training speakers, with numbers."""
    changed = {}
    encoder = CategoricalEncoder()
    encoder.load(export / LABELS[0])
    count = len(encoder)
    numbers = [f"speaker{number:0{len(str(count))}}" for number in range(count)]
    anonymous = CategoricalEncoder()
    anonymous.update_from_iterable(numbers, sequence_input=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / LABELS[0]
        anonymous.save(path)
        changed |= dict.fromkeys(LABELS, path.read_bytes())
    if (export / CONFIG).is_file():
        config = json.loads((export / CONFIG).read_text(encoding="utf-8"))
        told = json.dumps(config | {"speakers": numbers}, indent=1)
        changed[CONFIG] = f"{told}\n".encode()
    return changed
