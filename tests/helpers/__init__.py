"""What several test files share; no test file imports another."""

import pytest

pytest.register_assert_rewrite("helpers.gradescope_format", "helpers.models", "helpers.scripts")
