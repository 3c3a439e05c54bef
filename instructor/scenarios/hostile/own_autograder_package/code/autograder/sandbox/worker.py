def serve(channel, code_folder):
    return None
