def default(value, other):
    return other if value is None else value
