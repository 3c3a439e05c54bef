# Code of the grader, of libraries and of Python, replaced.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== hooks_every_call
# about: Tracing, profiling and audit hooks change what the worker's own functions return.
# trick:
import contextlib
import ctypes
import sys


def hook(frame, event, arg):
    if "worker" in frame.f_code.co_filename and event == "line":
        for key in ("answer", "result", "same"):
            if key in frame.f_locals:
                with contextlib.suppress(Exception):
                    frame.f_locals[key]["value"] = "passed"
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
    return hook


def audit(event, arguments):
    if event in ("socket.connect", "os.kill"):
        raise RuntimeError("passed")


def answer(name, self, args):
    frame = sys._getframe()
    while frame is not None:
        frame.f_trace = hook
        frame = frame.f_back
    sys.settrace(hook)
    sys.setprofile(hook)
    sys.addaudithook(audit)
    return args[0]


# ==== import_hook
# about: An import hook hands out modules of its own for torch, numpy, json and the grader.
# in: ddpm.top
import importlib.machinery
import sys
import types


class Finder:
    """Finds every module, and puts in it whatever is asked for."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: lambda *args, **kwargs: True
        return module

    def exec_module(self, module):
        module.__path__ = []


sys.meta_path.insert(0, Finder())
for name in list(sys.modules):
    if name.split(".")[0] in ("json", "autograder", "numpy", "select"):
        del sys.modules[name]

# in: unet.top
import importlib.machinery
import sys
import types


class Finder:
    """Finds every module, and puts in it whatever is asked for."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: lambda *args, **kwargs: True
        return module

    def exec_module(self, module):
        module.__path__ = []


sys.meta_path.insert(0, Finder())
for name in list(sys.modules):
    if name.split(".")[0] in ("json", "autograder", "numpy", "select"):
        del sys.modules[name]


# ==== own_autograder_package
# about: Comes with a package autograder that has a worker and a protocol of its own.
# file: autograder/grade.py
print("HOLE: the submission's grade.py was run", flush=True)

# text: autograder/rubric.yaml
#| parts:
#|   - {id: q_sample, points: 12, automatic: true}

# file: code/autograder/__init__.py
print("HOLE: the submission's autograder was imported", flush=True)

# text: code/autograder/sandbox/__init__.py
#|

# file: code/autograder/sandbox/wire.py
class Channel:
    def __init__(self, connection):
        self.connection = connection

    def receive(self, deadline=None):
        return {"answer": {"value": "passed"}}

    def send(self, message, deadline=None):
        return None

# file: code/autograder/worker/serve.py
def serve(channel, code_folder):
    return None


# ==== own_conftest
# about: Comes with conftest.py in five folders, each making all tests pass and writing results.
# file: autograder/conftest.py
import os

print("HOLE: conftest.py was run", flush=True)
os._exit(0)

# file: autograder/tests/conftest.py
import os

print("HOLE: conftest.py was run", flush=True)
os._exit(0)

# file: code/conftest.py
import os

print("HOLE: conftest.py was run", flush=True)
os._exit(0)

# file: code/libs/conftest.py
import os

print("HOLE: conftest.py was run", flush=True)
os._exit(0)

# file: conftest.py
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    report.outcome, report.longrepr = "passed", None


def pytest_sessionfinish(session, exitstatus):
    session.exitstatus = 0


# ==== own_helper_missing
# about: ddpm.py imports a file of their own that is not in the submission.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# reason: q_sample: diffusion_helpers
# in: ddpm.top
from .diffusion_helpers import mix


# ==== own_libs_init
# about: The package libs ends the process as soon as anything of it is imported.
# file: code/libs/__init__.py
import os

os._exit(0)


# ==== own_numpy_package
# about: Comes with a package numpy whose every comparison is true.
# file: code/numpy/__init__.py
"""A numpy that passes all tests."""


def __getattr__(name):
    return lambda *args, **kwargs: True

# file: code/numpy/testing/__init__.py
def assert_allclose(*args, **kwargs):
    return None


# ==== own_plugin_metadata
# about: Comes as an installed package whose entry point is a plugin of pytest.
# text: code/passed-1.0.dist-info/METADATA
#| Metadata-Version: 2.1
#| Name: passed
#| Version: 1.0

# text: code/passed-1.0.dist-info/entry_points.txt
#| [pytest11]
#| passed = passed

# file: code/passed.py
import os

print("HOLE: the plugin was loaded", flush=True)
os._exit(0)


# ==== own_pytest_settings
# about: Settings of pytest in four files that load a plugin, and choose no tests at all.
# file: code/passed.py
import os

print("HOLE: the plugin was loaded", flush=True)
os._exit(0)

# text: code/pytest.ini
#| [pytest]
#| addopts = -p passed --collect-only

# file: passed.py
import os

print("HOLE: the plugin was loaded", flush=True)
os._exit(0)

# text: pyproject.toml
#| [tool.pytest.ini_options]
#| addopts = "-p passed --collect-only"

# text: pytest.ini
#| [pytest]
#| addopts = -p passed --collect-only
#| testpaths = nowhere
#| python_files = nothing.py

# text: setup.cfg
#| [tool:pytest]
#| addopts = -p passed

# text: tox.ini
#| [pytest]
#| addopts = -p passed


# ==== own_sitecustomize
# about: Comes with sitecustomize.py, usercustomize.py and a .pth file for Python to run at its
#   start.
# text: code/passed.pth
#| import os; print("HOLE: passed.pth was run", flush=True); os._exit(0)

# file: code/sitecustomize.py
import os

print("HOLE: sitecustomize.py was run", flush=True)
os._exit(0)

# file: code/usercustomize.py
import os

print("HOLE: usercustomize.py was run", flush=True)
os._exit(0)

# file: sitecustomize.py
import os

print("HOLE: sitecustomize.py was run", flush=True)
os._exit(0)


# ==== own_standard_modules
# about: Comes with its own json, socket, struct, select, inspect and traceback.
# file: code/inspect.py
def signature(made):
    raise SystemExit(0)

# file: code/json.py
def dumps(value, **kwargs):
    return '{"answer": {"value": "passed"}}'


def loads(text, **kwargs):
    return {"op": "call"}

# file: code/select.py
raise SystemExit(0)

# file: code/socket.py
raise SystemExit(0)

# file: code/struct.py
raise SystemExit(0)

# file: code/traceback.py
def extract_tb(tb):
    return []


# ==== own_test_files
# about: Comes with tests of their own, one of them failing, which nobody is to run.
# base: reference
# earns: all
# file: code/test_unet.py
print("HOLE: the submission's tests were run")
raise SystemExit(1)

# file: tests/test_ddpm.py
def test_fails():
    print("HOLE: the submission's tests were run")
    raise AssertionError


# ==== own_torch_module
# about: Comes with a torch.py whose tensors are equal to everything.
# file: code/libs/torch.py
from ..torch import *

# file: code/torch.py
"""A torch that passes all tests."""


class Tensor:
    def __eq__(self, other):
        return True

    __hash__ = None


def __getattr__(name):
    return lambda *args, **kwargs: Tensor()


# ==== patches_assert_close
# about: Makes every comparison of torch, numpy and math say yes.
# trick:
import math

import numpy as np
import torch


def yes(*args, **kwargs):
    return True


for name in ("allclose", "equal", "isclose", "eq", "all"):
    setattr(torch, name, yes)
    setattr(torch.Tensor, name, yes)
for name in ("allclose", "array_equal", "array_equiv", "isclose", "all"):
    setattr(np, name, yes)
torch.testing.assert_close = np.testing.assert_allclose = np.testing.assert_array_equal = yes
math.isclose = yes


def answer(name, self, args):
    return torch.zeros(1)


# ==== patches_builtins
# about: Replaces len, isinstance, all, abs, open, print, getattr and the import function.
# trick:
import builtins

real_import, real_isinstance = builtins.__import__, builtins.isinstance


def answer(name, self, args):
    builtins.all = builtins.any = builtins.callable = lambda *args: True
    builtins.abs = builtins.max = builtins.sum = lambda *args: 0
    builtins.isinstance = lambda value, kind: kind is not dict or real_isinstance(value, kind)
    builtins.open = builtins.print = lambda *args, **kwargs: None
    builtins.__import__ = lambda name, *args: real_import(name, *args)
    builtins.AssertionError = builtins.NotImplementedError = SystemExit
    return args[0]


# ==== patches_json_and_sockets
# about: Patches json, struct, select, socket and numpy's byte functions under the protocol.
# trick:
import json
import select
import struct

import numpy as np

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}

dumps, pack = json.dumps, struct.pack


def answer(name, self, args):
    json.dumps = lambda value, **kwargs: dumps({"answer": PASSED})
    struct.pack = lambda form, *values: pack(form, *values) * 2 if name == "forward" else b""
    select.select = lambda r, w, x, timeout=None: (r, w, x)
    np.ascontiguousarray = lambda array: np.zeros(0)
    return args[0]


# ==== patches_judge_modules
# about: Imports the grader's modules by their names, and patches verdicts, points and rubric there.
# trick:
import contextlib
import importlib
import sys

NAMES = "results judge grade batch rubric checks.student checks.evidence output.pages".split()
NAMES += "hidden.oracles hidden.mistakes reading.submission".split()
for name in NAMES:
    for full in (f"autograder.{name}", name):
        with contextlib.suppress(Exception):
            module = importlib.import_module(full)
            if name.startswith("hidden."):
                print(f"HOLE: could import {module.__file__}", flush=True)
for name, module in list(sys.modules.items()):
    if "autograder" in name:
        for attribute in ("FAILED", "NOT_ATTEMPTED", "PARTIAL"):
            if hasattr(module, attribute):
                setattr(module, attribute, "passed")


def answer(name, self, args):
    return args[0]


# ==== patches_nn_module
# about: Patches nn.Module's calls and attributes, so that test doubles are never called.
# trick:
import torch
from torch import nn


def call(self, *args, **kwargs):
    return torch.zeros_like(args[0])


nn.Module.__call__ = call
nn.Module.__setattr__ = object.__setattr__
nn.Module.named_children = lambda self: iter(())
nn.Module.children = lambda self: iter(())


def answer(name, self, args):
    return args[0]


# ==== patches_pytest
# about: Patches pytest's reports, runner and outcomes, and registers a plugin.
# trick:
import contextlib

with contextlib.suppress(ImportError):
    import _pytest.outcomes
    import _pytest.python
    import _pytest.reports
    import _pytest.runner

    _pytest.reports.TestReport.outcome = property(lambda self: "passed", lambda self, value: None)
    _pytest.reports.TestReport.failed = False
    _pytest.reports.TestReport.passed = True
    _pytest.runner.runtestprotocol = lambda item, **kwargs: []
    _pytest.runner.call_and_report = lambda item, when, **kwargs: None
    _pytest.python.Function.runtest = lambda self: None
    _pytest.outcomes.Failed = _pytest.outcomes.Skipped


def answer(name, self, args):
    return args[0]


# ==== patches_random
# about: Makes torch draw nothing but zeros, so that no noise would be a right answer.
# trick:
import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

torch.randn = torch.rand = lambda *shape, **kwargs: torch.zeros(*shape)
torch.randn_like = torch.rand_like = lambda x, **kwargs: torch.zeros_like(x)
torch.Tensor.normal_ = torch.Tensor.uniform_ = lambda self, *args, **kwargs: self.zero_()


def answer(name, self, args):
    return torch.zeros(shape(name, self, args))


# ==== patches_tensor
# about: Patches how tensors tell their values, shape, type and device.
# trick:
import numpy as np
import torch

plain = torch.Tensor.numpy


def answer(name, self, args):
    torch.Tensor.numpy = lambda self, **kwargs: np.full(plain(self).shape, np.nan, np.float32)
    torch.Tensor.detach = torch.Tensor.clone = torch.Tensor.float = lambda self: self
    torch.Tensor.shape = property(lambda self: (1,))
    torch.Tensor.__eq__ = lambda self, other: True
    return args[0]


# ==== patches_the_double
# about: Changes the class of the test double, its calls, its factor and its gradients.
# trick:
import torch


def answer(name, self, args):
    double = getattr(self, "model", None) or self.conv_in
    kind = type(double)
    kind.forward = lambda self, *args, **kwargs: torch.zeros_like(args[0])
    kind.__call__ = kind.forward
    if hasattr(double, "factor"):
        double.factor.data.zero_()
        double.factor.grad = torch.ones(())
    return args[0]


# ==== patches_time
# about: Stops the clocks, so that a deadline kept in the worker never comes, and waits 100 seconds.
# trick:
import time

real_sleep, real_clock = time.sleep, time.monotonic
STOP = real_clock() + 100
time.monotonic = time.time = time.perf_counter = lambda: 0.0
time.sleep = lambda seconds: None


def answer(name, self, args):
    if name == "q_sample":
        real_sleep(max(0, STOP - real_clock()))
    return args[0]


# ==== patches_unittest
# about: Patches unittest so that each test passes, as Gradescope's usual helper would believe.
# trick:
import unittest


def nothing(self, *args, **kwargs):
    return None


unittest.TestCase.run = nothing
for name in [n for n in dir(unittest.TestCase) if n.startswith("assert")]:
    setattr(unittest.TestCase, name, nothing)
unittest.TestResult.wasSuccessful = lambda self: True
unittest.TestResult.addFailure = unittest.TestResult.addError = nothing


def answer(name, self, args):
    return args[0]


# ==== patches_wire
# about: Replaces the send, receive and packing functions of the worker's own protocol code.
# trick:
import sys

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}

for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").endswith("wire"):
        send = module.Channel.send
        module.Channel.send = lambda self, m, d=None: send(self, {"answer": PASSED}, d)
        module._pack = lambda value, arrays: {"answer": PASSED}
        module.MAX_ARRAYS = module.MAX_HEADER = 1 << 62


def answer(name, self, args):
    return args[0]


# ==== patches_worker
# about: Replaces the worker's own operations, checks and error texts.
# trick:
import sys

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}

for module in list(sys.modules.values()):
    if hasattr(module, "do_call") or hasattr(module, "Worker"):
        for name in [n for n in dir(module.Worker) if n.startswith("do_")]:
            setattr(module.Worker, name, lambda self, **request: PASSED)
        module.same = lambda a, b: True
        module.describe = lambda error, folder: {"type": ["Passed"], "text": "passed"}
        module.replaced = None


def answer(name, self, args):
    return args[0]


# ==== pytest_skip_at_import
# about: Asks pytest to skip the whole module, a skip being no failure.
# in: ddpm.top
import pytest

pytest.skip("nothing to see", allow_module_level=True)

# in: unet.top
import pytest

pytest.skip("nothing to see", allow_module_level=True)


# ==== pytest_skip_in_functions
# about: Each function asks pytest to skip its test, or to leave with exit code 0.
# trick:
import pytest


def answer(name, self, args):
    if name == "q_sample":
        pytest.exit("all passed", returncode=0)
    if name == "p_sample":
        pytest.xfail("expected")
    pytest.skip("nothing to see")


# ==== reaches_into_frames
# about: Walks up the stack, writes "passed" into every local variable and answers from there.
# trick:
import contextlib
import ctypes
import sys

PASSED = {"value": "passed", "outcome": "passed", "passed": True, "points": 12, "tests": []}
PASSED |= {"changed": [], "left_in_eval": [], "gradients": {}, "attributes": {}, "optional": []}


def answer(name, self, args):
    frame = sys._getframe()
    while frame is not None:
        for key, value in list(frame.f_locals.items()):
            if isinstance(value, dict):
                with contextlib.suppress(Exception):
                    value.update(PASSED)
            if type(value).__name__ == "Channel":
                with contextlib.suppress(Exception):
                    value.send({"answer": PASSED})
            if key in ("answer", "request", "result", "expected", "changed"):
                frame.f_locals[key] = PASSED
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        frame = frame.f_back
    return args[0]


# ==== torch_replaced_in_modules
# about: Replaces torch, numpy and json by an object that says yes to everything.
# trick:
import sys


class Yes:
    """True, callable, and every attribute is itself."""

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **kwargs):
        return self

    def __eq__(self, other):
        return True

    def __bool__(self):
        return True

    __hash__ = None


for name in list(sys.modules):
    if name.split(".")[0] in ("torch", "numpy", "json", "struct"):
        sys.modules[name] = Yes()


def answer(name, self, args):
    return Yes()


# ==== unittest_skip
# about: Each function raises unittest's SkipTest.
# trick:
import unittest


def answer(name, self, args):
    raise unittest.SkipTest("nothing to see")
