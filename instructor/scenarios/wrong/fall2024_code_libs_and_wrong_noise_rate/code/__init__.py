"""Makes the folder a package, so that code.libs can be imported."""
