from libs.formulas import mix, step_mean
