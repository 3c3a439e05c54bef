from .preconditioned import Preconditioned
