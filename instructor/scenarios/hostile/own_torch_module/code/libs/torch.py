from ..torch import *
