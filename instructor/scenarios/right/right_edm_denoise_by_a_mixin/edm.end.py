EDM.factors = Preconditioned.factors
