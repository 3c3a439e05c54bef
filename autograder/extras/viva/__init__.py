"""Questions about what a team handed in: do its members understand their code?"""
