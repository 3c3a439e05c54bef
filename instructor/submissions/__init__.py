"""Made-up submissions: catalogues of them, read and built."""
