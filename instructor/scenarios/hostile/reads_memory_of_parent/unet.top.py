from . import trick
