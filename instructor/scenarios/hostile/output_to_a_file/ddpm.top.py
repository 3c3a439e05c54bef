import sys


class Both:
    """Writes to the screen and to a file."""

    def __init__(self, screen):
        self.screen = screen
        try:
            self.file = open("log.txt", "a")
        except OSError:
            self.file = None

    def write(self, text):
        self.screen.write(text)
        if self.file:
            self.file.write(text)

    def flush(self):
        self.screen.flush()


sys.stdout = Both(sys.stdout)
print("logging to log.txt")
