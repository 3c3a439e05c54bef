from unittest.mock import MagicMock

UNet = MagicMock()
