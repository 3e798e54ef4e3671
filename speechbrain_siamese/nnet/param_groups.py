"""Which weights learn, and how fast: frozen layers, learning rates by group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch


def freeze(modules: torch.nn.Module, frozen: Sequence[str]) -> None:
    """Keep the weights of some modules as they are.

    Arguments
    ---------
    modules : torch.nn.Module
        Holds them all.
    frozen : Sequence[str]
        Names of modules, such as ``embedding_model.blocks.0``.

    Raises
    ------
    ValueError
        If there is no such module.

    Example
    -------
    >>> modules = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2)})
    >>> freeze(modules, ["a"])
    >>> modules["a"].weight.requires_grad
    False
    """
    for module in named_modules(modules, frozen, "frozen"):
        module.requires_grad_(False)


def named_modules(
    modules: torch.nn.Module, names: Iterable[str], key: str
) -> list[torch.nn.Module]:
    """Modules by their names.

    Arguments
    ---------
    modules : torch.nn.Module
        Holds them all.
    names : Iterable[str]
        Such as ``embedding_model.blocks.0``.
    key : str
        Key of the YAML file that names them, for the error.

    Returns
    -------
    list of torch.nn.Module

    Raises
    ------
    ValueError
        If there is no such module.
    """
    if isinstance(names, str):
        raise ValueError(f"{key} is {names!r}, expected a list: [{names}]")
    known = dict(modules.named_modules())
    found = []
    for name in names:
        if name not in known:
            parent = name.rpartition(".")[0]
            while parent not in known:
                parent = parent.rpartition(".")[0]
            inside = [child for child, _ in known[parent].named_children()]
            raise ValueError(
                f"{key} names {name!r}, but {parent or 'the model'} holds "
                f"{', '.join(inside) or 'no modules'}"
            )
        found.append(known[name])
    return found


def check_names(
    modules: Mapping[str, torch.nn.Module], names: Iterable[str], key: str
) -> None:
    """Refuse names of no module, before there are all modules.

    Arguments
    ---------
    modules : Mapping[str, torch.nn.Module]
        Those of the YAML file. What is named in other modules, which are built
        once the speakers are counted, is not looked at.
    names : Iterable[str]
        Such as ``embedding_model.blocks.0``.
    key : str
        Key of the YAML file that names them, for the error.

    Raises
    ------
    ValueError
        If a module holds none of that name.

    Example
    -------
    >>> check_names({"a": torch.nn.ReLU()}, ["classifier", "a.0"], "frozen")
    Traceback (most recent call last):
        ...
    ValueError: frozen names 'a.0', but a holds no modules
    """
    known = names
    if not isinstance(names, str):
        known = [name for name in names if name.split(".")[0] in modules]
    named_modules(torch.nn.ModuleDict(modules), known, key)


def parameter_groups(
    modules: torch.nn.Module, lr_factors: Mapping[str, float], lr: float
) -> list[dict]:
    """Groups for an optimiser, without the weights that are frozen.

    Arguments
    ---------
    modules : torch.nn.Module
    lr_factors : Mapping[str, float]
        Share of the learning rate by a module's name, such as
        ``{"embedding_model": 0.1}``; the longest name that fits counts.
        What is not named learns at the full rate.
    lr : float
        The full rate.

    Returns
    -------
    list of dict
        ``params, lr, lr_factor``; none is empty.

    Raises
    ------
    ValueError
        If a name or a factor is unusable, or all weights are frozen.

    Example
    -------
    >>> modules = torch.nn.ModuleDict(
    ...     {"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2)}
    ... )
    >>> groups = parameter_groups(modules, {"a": 0.1}, lr=0.01)
    >>> [(len(group["params"]), group["lr"]) for group in groups]
    [(2, 0.01), (2, 0.001)]
    """
    named_modules(modules, lr_factors, "lr_factors")
    for name, factor in lr_factors.items():
        if not 0 < factor <= 1000:
            raise ValueError(
                f"lr_factors gives {name} {factor}, expected a number above "
                "0, up to 1000; to keep weights as they are, name the module "
                "in frozen"
            )
    groups: dict[float, list[torch.nn.Parameter]] = {}
    for name, parameter in modules.named_parameters():
        if not parameter.requires_grad:
            continue
        fitting = [
            key for key in lr_factors if f"{name}.".startswith(f"{key}.")
        ]
        factor = lr_factors[max(fitting, key=len)] if fitting else 1.0
        groups.setdefault(factor, []).append(parameter)
    if not groups:
        raise ValueError(
            "all weights are frozen, so there is nothing to learn: take a "
            "name out of frozen"
        )
    # Sorted, so that a checkpoint fits whatever the order of the YAML.
    return [
        {"params": groups[factor], "lr": lr * factor, "lr_factor": factor}
        for factor in sorted(groups, reverse=True)
    ]
