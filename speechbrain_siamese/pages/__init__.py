"""Pages that need no other file: one look, one way to render them."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(template: str, **values: object) -> str:
    """Fill in a page.

    Arguments
    ---------
    template : str
        File of this folder.
    **values
        What it names; a name that is missing is an error.

    Returns
    -------
    str
        HTML; what the values hold is escaped.
    """
    environment = Environment(
        loader=PackageLoader("speechbrain_siamese", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)
