"""Weights & Biases without an account and without a network."""

import types


class FakeWandb(types.ModuleType):
    """The package as far as it is used, without a network: it notes what it is asked for.

    Args:
        error: what starting a run raises, unless it is offline.
        log_error: what logging raises.
    """

    def __init__(self, folder, error=None, log_error=None):
        super().__init__("wandb")
        self.folder, self.error, self.log_error = folder, error, log_error
        self.started, self.logged = [], []
        self.Image = lambda array: array.shape

    def init(self, **options):
        self.started.append(options)
        offline = options.get("mode") == "offline"
        if self.error is not None and not offline:
            raise self.error
        return types.SimpleNamespace(
            id=options["id"] or f"made-up-{len(self.started)}",
            url=None if offline else "https://wandb.ai/ada/team-07/runs/1",
            offline=offline,
            dir=str(self.folder / "wandb" / "offline-run-1" / "files"),
            log=self.log,
            finish=lambda: None,
        )

    def log(self, values, step):
        if self.log_error is not None:
            raise self.log_error
        self.logged.append((step, values))
