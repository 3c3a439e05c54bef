from .noising import Noising
