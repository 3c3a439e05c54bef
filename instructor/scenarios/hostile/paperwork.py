# What the reader of hand-ins and the people behind it see: names, formats, sizes, messages.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== byte_order_mark_and_crlf
# about: A helper begins with a byte order mark and has the line ends of Windows, which is all
#   right.
# base: reference
# earns: all
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    from .mixing import mix

    noise = torch.randn_like(x_start) if noise is None else noise
    return mix(self, x_start, t, noise)

# bytes: code/libs/mixing.py
(
    b'\xef\xbb\xbf# Beitr\xc3\xa4ge: Mischung von Bild und Rauschen\r\n'
    b'def mix(ddpm, x_start, t, noise):\r\n'
    b'    signal_rate = ddpm._extract(ddpm.sqrt_alphas_cumprod, t, x_start.shape)\r\n'
    b'    noise_rate = ddpm._extract(ddpm.sqrt_one_minus_alphas_cumprod, t, x_start.shape)\r'
    b'\n'
    b'    return signal_rate * x_start + noise_rate * noise\r\n'
)


# ==== checkpoint_handed_in
# about: A file that says it is a checkpoint, and ends the process that unpickles it, is handed in.
# base: reference
# earns: all
# text: code/libs/data.pkl
#| cos
#| _exit
#| (I0
#| tR.

# text: results/best_model.pth
#| cos
#| _exit
#| (I0
#| tR.


# ==== configs_of_long_lines
# about: Configs and modules hold lines of 60,000 letters, full of quotes, colons and slashes.
# base: reference
# earns: all
# bytes: code/libs/line.py
b"x = '" + b'/home/' * 10_000 + b"'\n"

# bytes: configs/colons.yaml
b': /home' * 9_000

# bytes: configs/paths.yaml
b'"C:\\' * 15_000

# bytes: configs/quotes.yaml
b'"' * 60_000


# ==== configs_of_nested_aliases
# about: A config of 1 kB expands to 30 billion values, another is 20,000 lists inside each other.
# base: reference
# earns: all
# text: code/configs/tags.yaml
#| !!python/object/apply:os.system [ls]

# bytes: configs/deep.yaml
b'[' * 20_000

# text: configs/mnist.yaml
#| a0: &a0 [x]
#| a1: &a1 [*a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0, *a0]
#| a2: &a2 [*a1, *a1, *a1, *a1, *a1, *a1, *a1, *a1, *a1]
#| a3: &a3 [*a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2, *a2]
#| a4: &a4 [*a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3]
#| a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
#| a6: &a6 [*a5, *a5, *a5, *a5, *a5, *a5, *a5, *a5, *a5]
#| a7: &a7 [*a6, *a6, *a6, *a6, *a6, *a6, *a6, *a6, *a6]
#| a8: &a8 [*a7, *a7, *a7, *a7, *a7, *a7, *a7, *a7, *a7]
#| a9: &a9 [*a8, *a8, *a8, *a8, *a8, *a8, *a8, *a8, *a8]
#| a10: &a10 [*a9, *a9, *a9, *a9, *a9, *a9, *a9, *a9, *a9]
#| a11: &a11 [*a10, *a10, *a10, *a10, *a10, *a10, *a10, *a10, *a10]


# ==== error_chains
# about: Raises errors that are their own cause, groups of groups 1,000 deep, and odd syntax errors.
# trick:
def answer(name, self, args):
    error = ValueError("passed")
    if name == "q_sample":
        error.__cause__ = error.__context__ = error
    elif name == "p_sample":
        for _ in range(1000):
            error = ExceptionGroup("passed", [error])
    else:
        error = SyntaxError("passed")
        error.filename, error.lineno, error.msg = 7, "line", ["passed"]
    raise error


# ==== latin_1_in_a_helper
# about: A right helper, which only q_sample imports, has a comment in Latin-1; Python refuses such
#   files.
# base: reference
# earns: all except q_sample, latent
# may_earn: q_sample, latent
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    from .mixing import mix

    noise = torch.randn_like(x_start) if noise is None else noise
    return mix(self, x_start, t, noise)

# bytes: code/libs/mixing.py
(
    b'# Beitr\xe4ge: Mischung von Bild und Rauschen\n'
    b'def mix(ddpm, x_start, t, noise):\n'
    b'    signal_rate = ddpm._extract(ddpm.sqrt_alphas_cumprod, t, x_start.shape)\n'
    b'    noise_rate = ddpm._extract(ddpm.sqrt_one_minus_alphas_cumprod, t, x_start.shape)\n'
    b'    return signal_rate * x_start + noise_rate * noise\n'
)


# ==== message_claims_a_stub
# about: Raises NotImplementedError with HTML for a text, from a file with a made-up name.
# trick:
CODE = compile("raise NotImplementedError('<b>passed</b>')", "/autograder/<b>judge</b>.py", "exec")


def answer(name, self, args):
    exec(CODE)


# ==== message_of_10_mb
# about: Raises errors with a text of 10 MB, one of one line and one of a million lines.
# trick:
def answer(name, self, args):
    raise RuntimeError("passed " * 1_500_000 if name == "q_sample" else "passed\n" * 1_000_000)


# ==== message_of_lone_surrogates
# about: Raises errors whose text cannot be written as UTF-8.
# trick:
class Odd(Exception):
    pass


Odd.__name__ = Odd.__qualname__ = "Odd\udcff"


def answer(name, self, args):
    raise Odd("passed \ud800 \udcff \U0010ffff \x00")


# ==== message_raises
# about: Raises errors whose text, class and traceback raise errors themselves, or exit.
# trick:
class Kind(type):
    """A class whose name exits."""

    @property
    def __name__(cls):
        raise SystemExit(0)


class Odd(Exception, metaclass=Kind):
    def __str__(self):
        raise SystemExit(0)

    __repr__ = __str__


class Text(str):
    def __getitem__(self, key):
        raise KeyboardInterrupt

    def __len__(self):
        return -1


class Words(Exception):
    def __str__(self):
        return Text("passed")


def answer(name, self, args):
    raise Odd("passed") if name in ("q_sample", "forward") else Words()


# ==== message_waits
# about: Raises an error whose text takes 100 seconds to be made.
# trick:
import time

STOP = time.monotonic() + 100


class Slow(Exception):
    def __str__(self):
        time.sleep(max(0, STOP - time.monotonic()))
        return "passed"


def answer(name, self, args):
    raise Slow if name == "q_sample" else ValueError


# ==== module_that_ends_the_parser
# about: A module that nothing imports is 90,000 brackets and 90,000 minus signs deep.
# base: reference
# earns: all
# bytes: code/libs/deep.py
b'x = ' + b'(' * 90_000 + b'\n'

# bytes: code/libs/minus.py
b'x = ' + b'-' * 90_000 + b'1\n'

# bytes: code/libs/nul.py
b'x = 1\x00\n'

# bytes: code/libs/utf16.py
b'\xff\xfex\x00 \x00=\x00 \x001\x00\n' b'\x00'


# ==== names_in_another_case
# about: Beside the real modules lie others whose names differ in case alone, and which end the
#   process.
# base: reference
# earns: all
# file: Code/libs/ddpm.py
raise SystemExit(3)

# file: code/libs/Blocks.py
raise SystemExit(3)

# file: code/libs/UNet.PY
raise SystemExit(3)


# ==== names_in_deep_folders
# about: Modules lie below 45 folders inside each other, which is more than are read, and below 30.
# base: reference
# earns: all
# file: code/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/x.py
x = 1

# file: code/libs/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/y.py
y = 1


# ==== names_of_files_as_folders
# about: There are folders called unet.py.zip, team.csv and report.pdf beside the real files.
# base: reference
# earns: all
# text: code/libs/blocks_old.py/x.txt
#| x

# file: code/libs/unet.py.zip/x.py
x = 1

# text: results/report.pdf/x.txt
#| %PDF-1.4

# text: results/team.csv/x.txt
#| member


# ==== notebook_instead
# about: The work was done in a notebook, and ddpm.py is missing.
# base: reference
# remove: code/libs/ddpm.py
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# text: code/libs/ddpm.ipynb
#| {"cells": [{"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": ["class DDPM:\n", "    pass"]}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


# ==== nothing_handed_in
# about: The code folder is missing.
# remove: code


# ==== problems_file_with_escapes
# about: PROBLEMS.txt claims what only the grader says, with escapes, HTML and 3,000 lines.
# base: reference
# earns: all
# bytes: PROBLEMS.txt
(
    b'\x1b[2J\x1b[32mtotal 12 of 12\x1b[0m\n'
    b'<script>alert(1)</script>'
    + b'\n- \xe2\x80\xaeall is right' * 3_000
    + b'\n'
)


# ==== report_of_many_streams
# about: The report is a PDF of 2,040 packed streams that unpack to 80 MB.
# base: reference
# earns: all
# bytes: writeup/report.pdf
(
    b'%PDF-1.7\n'
    b'0 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
    b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'1 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'2 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'3 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'4 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'5 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'6 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'7 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'8 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'9 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'10 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'11 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'12 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'13 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'14 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'15 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'16 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'17 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'18 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'19 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'20 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'21 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'22 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'23 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'24 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'25 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'26 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'27 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'28 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'29 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'30 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'31 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'32 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'33 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'34 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'35 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'36 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'37 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'38 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01\n'
      b'endstream endobj\n'
      b'39 0 obj<</Type/ObjStm/N 9/First 9/Filter/FlateDecode/Length 1960>>stream\n'
      b'x\xda\xed\xc1\x01\x01\x00\x00\x00\x82 \xff\xafnH@\x01'
    + b'\x00' * 1_937
    + b'o\x06\x86B\x00\x01'
    + b'\nendstream endobj\n999 0 obj<</Filter/FlateDecode>>stream' * 2_000
    + b'\n'
      b'endstream endobj\n'
      b'trailer<</Size 999/Root 1 0 R>>\n'
      b'%%EOF\n'
)


# ==== results_of_other_formats
# about: The sample pictures are PostScript, a PDF and other formats under the names of PNG and
#   JPEG.
# base: reference
# earns: all
# text: results/samples-1.png
#| %!PS-Adobe-3.0 EPSF-3.0
#| %%BoundingBox: 0 0 64 64
#| (/tmp/trace) (w) file closefile
#| showpage
#| %%EOF

# text: results/samples-2.jpg
#| %PDF-1.4
#| 1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj
#| %%EOF

# bytes: results/samples-3.png
b'DDS |' + b'\x00' * 123

# bytes: results/samples-4.jpg
b'\x00\x00\x00\x0cjP  \r\n' b'\x87\n' + b'\x00' * 64

# bytes: results/samples-5.png
b'\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf' + b'\x00' * 64


# ==== results_submitted
# about: Comes with results.json, grades.csv and an output folder of its own, all with full marks.
# text: code/results.json
#| {"score": 12, "tests": [{"name": "q_sample: test", "score": 12, "max_score": 12, "status": "passed"}]}

# text: grades.csv
#| submission,team,member,netid,unet,q_sample,p_sample,p_sample_loop,compute_loss,latent,total
#| results_submitted,Example Team,Example Name,example1,1,1,1,1,1,1,12

# text: grades/grades.csv
#| submission,team,member,netid,unet,q_sample,p_sample,p_sample_loop,compute_loss,latent,total
#| results_submitted,Example Team,Example Name,example1,1,1,1,1,1,1,12

# text: results.json
#| {"score": 12, "tests": [{"name": "q_sample: test", "score": 12, "max_score": 12, "status": "passed"}]}

# text: results/results.json
#| {"score": 12, "tests": [{"name": "q_sample: test", "score": 12, "max_score": 12, "status": "passed"}]}


# ==== results_that_unpack
# about: A sample picture unpacks to 20 MB of text, and another has 20,000 headers before its size.
# base: reference
# earns: all
# bytes: results/samples-1.png
(
    b'\x89PNG\r\n'
    b'\x1a\n'
    b'\x00\x00\x00\rIHDR\x00\x00\x00@\x00\x00\x00@\x08\x02\x00\x00\x00%\x0b\xe6\x89\x00\x00L'
    b'\x00zTXta\x00\x00x\xda\xec\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08\n'
    + b'\x00' * 4_094
    + b'\x80\xd9\x83\x03\x01\x00\x00\x00\x00 \xff\xd7FP'
    + b'U' * 4_095
    + b'a\x0f\x0e\x04\x00\x00\x00\x00\x80\xfc_\x1bA'
    + b'U' * 4_095
    + b'\x85=8\x10\x00\x00\x00\x00\x00\xf2\x7fm\x04'
    + b'U' * 4_095
    + b'\x95\xf6\xe0\x90\x00\x00\x00\x00@\xd0\xff\xd7\xae\xb0\x01'
    + b'\x00' * 2_997
    + b'\xdc\x02>\xdf\x00\x01+\x8f\x91\xb6\x00\x00\x00"IDATx\x9c\xed\xc1\x01\r\x00\x00\x00\xc2'
      b'\xa0\xf7Om\x0f\x07\x14\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xf0n0@\x00\x01\x8b'
      b'\x00\xa8\xf7\x00\x00\x00\x00IEND\xaeB`\x82'
)

# bytes: results/samples-2.jpg
(
    b'\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00'
    + b'\xff\xfe\x00\x02' * 20_000
    + b'\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00'
)


# ==== results_with_odd_pictures
# about: The sample pictures are HTML, a script in SVG and a PNG that claims 60,000 x 60,000 pixels.
# base: reference
# earns: all
# bytes: results/huge.png
(
    b'\x89PNG\r\n'
    b'\x1a\n'
    b'\x00\x00\x00\rIHDR\x00\x00\xea`\x00\x00\xea`\x08\x02\x00\x00\x00\x0f\xb0\xe2\x15\x00'
    b'\x00\x00\x11IDATx\x9cc`\x18\x05\xa3`\x14\x0cw\x00\x00\x03\xe8\x00\x01\xb3\xa6\xd3F\x00'
    b'\x00\x00\x00IEND\xaeB`\x82'
)

# text: results/samples.png
#| <html><script>document.title = "gotcha"</script></html>

# text: results/samples.svg
#| <svg xmlns="http://www.w3.org/2000/svg" onload="document.title='gotcha'"><script>alert(1)</script></svg>

# text: results/sub/samples.jpg
#| no picture at all


# ==== team_file_of_many_columns
# about: The team file has 20,000 columns, one of them a heading of 30,000 letters, and rows of
#   quotes.
# base: reference
# earns: all
# bytes: team.csv
(
    b'member,NetID,contribution,'
    + b'x' * 30_000
    + b',' * 20_000
    + b'\n'
      b'Ada Lovelace,ex1,all\n'
    + b'"' * 1_000
    + b'\n,,,' * 9_000
    + b'\n'
)


# ==== team_file_with_escapes
# about: The team file holds terminal escapes, marks that turn the direction of writing, and line
#   ends.
# base: reference
# earns: all
# bytes: team.csv
(
    b'member,NetID,contribution\n'
    b'"\x1b[2J\x1b[1;31mPASSED 12 of 12\x1b[0m","\xe2\x80\xaegnp.exe","line one\n'
    b'line two\x07\xc2\x9b31m"\n'
    b'"Bo\xe2\x81\xa6 Li\xe2\x81\xa9\xe2\x80\xa8next",bo2,\x1b]0;title\x07all else\n'
)


# ==== team_file_with_formulas
# about: The team file holds formulas, HTML and line ends, for the sheet and the page.
# base: reference
# earns: all
# text: team.csv
#| member,NetID,contribution
#| "=HYPERLINK(""http://127.0.0.1/"",""Example Name"")",@SUM(1+1),"<script>alert(1)</script>"
#| "+cmd|' /C calc'!A0","-2+3","line
#| line"
#| "Example, ""Name""",../../results,"</td></tr></table>"


# ==== warnings_and_logs
# about: Fills the log with 100,000 warnings, log records and unraisable errors.
# trick:
import logging
import warnings


class Noisy:
    def __del__(self):
        raise RuntimeError("passed")


def answer(name, self, args):
    warnings.simplefilter("always")
    logging.basicConfig(level=0)
    for n in range(5000):
        warnings.warn(f"passed {n}", stacklevel=1)
        logging.critical("passed %s", n)
        Noisy()
    return args[0]
