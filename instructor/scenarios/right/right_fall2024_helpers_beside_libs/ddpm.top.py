from helpers import default
