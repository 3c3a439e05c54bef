with open("/home/example/homework/config.yaml") as file:
    CONFIG = file.read()
