from .ddim_parts import predict
