import yaml

with open("../configs/mnist.yaml") as file:
    BETAS = yaml.safe_load(file)["betas"]
