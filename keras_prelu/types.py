"""Types in the signatures of this package that Python and NumPy do not define."""

import os
from typing import Any, TypeAlias

# Every backend of Keras has its own class of tensors; functions take arrays as well.
Tensor: TypeAlias = Any

PathLike: TypeAlias = str | os.PathLike[str]
