def extract_tb(tb):
    return []
