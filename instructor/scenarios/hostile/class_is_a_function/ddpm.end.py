from unittest.mock import MagicMock

DDPM = MagicMock()
