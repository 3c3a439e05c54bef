class Channel:
    def __init__(self, connection):
        self.connection = connection

    def receive(self, deadline=None):
        return {"answer": {"value": "passed"}}

    def send(self, message, deadline=None):
        return None
