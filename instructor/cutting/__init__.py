"""What cuts the starter: editions, regions, texts, and the files that go out."""
