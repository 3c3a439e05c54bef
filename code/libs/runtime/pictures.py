"""Opening pictures from files that may be anything: only known formats, and none that is huge."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

# Pillow knows many more. Some start other programs (EPS: Ghostscript) or are rarely used decoders.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM", "TIFF")
MAX_PIXELS = 50_000_000
warnings.filterwarnings("ignore", module=r"PIL\.")  # a picture is used, or named with a reason


class BadPicture(Exception):
    """Why a file cannot be used as a picture, in words that follow its name in a message."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """A picture of which only the header is read; it is decoded in the context, where it is used.

    Raises:
        BadPicture: the file is missing, no picture, damaged, or above MAX_PIXELS; also for what
            fails in the context, which should do nothing but decode.
    """
    if not path.is_file():
        raise BadPicture("missing")
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise BadPicture(_too_large(image.width * image.height))
            yield image
    except (BadPicture, MemoryError):
        raise
    except UnidentifiedImageError:
        raise BadPicture("not a readable image") from None
    except Image.DecompressionBombError:
        raise BadPicture(_too_large(2 * Image.MAX_IMAGE_PIXELS)) from None
    except Exception as error:  # Pillow's decoders raise a dozen kinds
        cut = "truncated" in str(error)
        raise BadPicture("truncated" if cut else "not a readable image") from None


def _too_large(pixels: int) -> str:
    return f"{pixels / 1e6:.0f} megapixels or more, above the limit of {MAX_PIXELS / 1e6:.0f}"
