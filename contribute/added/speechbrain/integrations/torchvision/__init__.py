"""
Package providing `torchvision <https://pytorch.org/vision/>`_ integration.

This package contains modules that depend on the optional ``torchvision``
dependency: speaker encoders that look at spectrograms as at pictures.
"""

try:
    import torchvision  # noqa: F401
except ImportError as e:
    MSG = "Please install torchvision to use this module.\n"
    MSG += "pip install torchvision\n"
    MSG += "For more information, visit: https://pytorch.org/vision/"
    raise ImportError(MSG) from e

from speechbrain.utils.importutils import lazy_export_all

lazy_export_all(__file__, __name__, export_subpackages=True)
