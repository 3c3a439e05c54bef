from .formulas import mix, step_mean
